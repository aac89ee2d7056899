import { expect, test } from "bun:test"
import { encodeArgs } from "../../src/intent/codec.ts"
import { result_retention_ms } from "../../src/service/limit.ts"
import type { WireOp } from "../../src/intent/op.ts"
import type { Methods } from "../../src/service/handler.ts"
import { op, openBox } from "./box.ts"

const rich = {
  id: "note_1",
  list: [1, { deep: "x" }],
  when: new Date(5),
  bytes: new Uint8Array([1, 2]),
  big: 10n,
  none: undefined,
  $ref: ["x"],
}

const nothing = Symbol("a method that returns nothing")

async function setup(result: unknown = rich) {
  const seen: unknown[][] = []
  const methods: Methods = {
    make: () => (result === nothing ? undefined : result),
    take: (_, ...args) => void seen.push(args),
    reject: () => {
      throw new TypeError("not here")
    },
  }
  const box = await openBox({ methods })
  box.create()
  const writer = box.writer()
  const made = op("make")
  writer.append(made)
  const take = (args: string, more: Partial<WireOp> = {}) => {
    const answer = writer.append(op("take", [], { args, depends_on: [made.op_id], ...more }))
    return answer.rejected[0]?.code ?? seen.at(-1)
  }
  const ref = (path: (string | number)[], op_id = made.op_id) => JSON.stringify(["$ref", op_id, path])
  return { box, writer, made, take, ref, seen, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
}

test("a reference is replaced by the result or what its path names, also deep in arrays and objects", async () => {
  await using it = await setup()
  expect(it.take(`[[${it.ref([])}]]`)).toEqual([rich])
  expect(it.take(`[[${it.ref(["id"])},{"a":[[${it.ref(["list", 1, "deep"])},2]]}]]`)).toEqual([
    "note_1",
    { a: ["x", 2] },
  ])
  expect(it.take(`[[${it.ref(["list"])},${it.ref(["list", "0"])}]]`)).toEqual([[1, { deep: "x" }], 1])
  expect(it.take(`[[${it.ref(["when"])},${it.ref(["bytes"])},${it.ref(["big"])},${it.ref(["none"])}]]`)).toEqual([
    new Date(5),
    new Uint8Array([1, 2]),
    10n,
    undefined,
  ])
})

test("a reference may name an op earlier in the same batch", async () => {
  await using it = await setup()
  const made = op("make")
  const args = encodeArgs([made], (value) => (value === made ? { op_id: made.op_id, path: ["id"] } : undefined))
  it.writer.append(made, op("take", [], { args: args.text, depends_on: args.references }))
  expect(it.seen).toEqual([["note_1"]])
})

test("the result of a method that returns nothing is undefined", async () => {
  await using it = await setup(nothing)
  expect(it.take(`[[${it.ref([])}]]`)).toEqual([undefined])
  expect(it.take(`[[${it.ref(["id"])}]]`)).toBe("reference_missing")
})

test("a path that is not there, or an inherited one, is reference_missing", async () => {
  await using it = await setup()
  for (const path of [
    ["no"],
    ["id", "length"],
    ["list", 7],
    ["list", "length"],
    ["toString"],
    ["__proto__"],
    ["when", 0],
  ])
    expect(it.take(`[[${it.ref(path)}]]`)).toBe("reference_missing")
})

test("a reference to an op that is not in depends_on is reference_undeclared", async () => {
  await using it = await setup()
  expect(it.take(`[[${it.ref([])}]]`, { depends_on: [] })).toBe("reference_undeclared")
  expect(it.take(`[[${it.ref([]).replace("$", "\\u0024")}]]`, { depends_on: [] })).toBe("reference_undeclared")
})

test("a malformed reference is invalid_args", async () => {
  await using it = await setup()
  expect(it.take(`[[["$ref","not an op",[]]]]`)).toBe("invalid_args")
  expect(it.take(`[[["$ref","${it.made.op_id}",[-1]]]]`)).toBe("invalid_args")
  expect(it.take(`[[["$ref"]]]`)).toBe("invalid_args")
})

test("a text that looks like a reference stays text", async () => {
  await using it = await setup()
  expect(it.take(encodeArgs(['"$ref"', ["$ref", it.made.op_id, []]]).text)).toEqual([
    '"$ref"',
    ["$ref", it.made.op_id, []],
  ])
})

test("a reference to a superseded op is dependency_rejected, though as a dependency it is done", async () => {
  await using it = await setup()
  const gone = op("make").op_id
  it.writer.append(op("make", [], { supersedes: [gone] }))
  expect(it.take("[[1]]", { depends_on: [gone] })).toEqual([1])
  expect(it.take(`[[${it.ref([], gone)}]]`, { depends_on: [gone] })).toBe("dependency_rejected")
})

test("a result is kept for result_retention and then expired, purged or not", async () => {
  await using it = await setup()
  it.box.clock.turn(result_retention_ms - 1)
  expect(it.take(`[[${it.ref(["id"])}]]`)).toEqual(["note_1"])
  it.box.clock.turn(1)
  expect(it.take(`[[${it.ref(["id"])}]]`)).toBe("result_expired")
  expect(it.box.core.sql.get(`SELECT result FROM applied WHERE position = 1`)).toEqual({ result: "" })
  it.box.clock.jump(-1000)
  expect(it.take(`[[${it.ref(["id"])}]]`)).toBe("result_expired")
  expect(it.writer.append({ ...it.made, want_result: true })).not.toHaveProperty("results")
})

test("want_result sends the result with the first answer and with every later one", async () => {
  await using it = await setup({ id: 7 })
  const [loud, quiet] = [op("make", [], { want_result: true }), op("make")]
  const batch = it.writer.batch([loud, quiet])
  const results = { [loud.op_id]: '{"id":7}' }
  expect(it.writer.append(loud, quiet).results).toEqual(results)
  expect(it.writer.share.appendOps(batch)).toMatchObject({ duplicates: [loud.op_id, quiet.op_id], results })
  expect(it.writer.append({ ...quiet, want_result: true }).results).toEqual({ [quiet.op_id]: '{"id":7}' })
})

test("codec json: a reference is the sole key of an object and its op is declared, everything else is data", async () => {
  await using it = await setup({ id: "n", when: new Date(5), list: [[1]] })
  const json = (args: unknown, more: Partial<WireOp> = {}) => it.take(JSON.stringify(args), { codec: "json", ...more })
  const id = it.made.op_id
  expect(json([{ $ref: [id, "id"] }, { a: [{ $ref: [id, "list", 0] }] }])).toEqual(["n", { a: [[1]] }])
  expect(json([{ $ref: [id] }])).toEqual([{ id: "n", when: new Date(5).toJSON(), list: [[1]] }])
  expect(json([{ $ref: [id, "id"], more: 1 }])).toEqual([{ $ref: [id, "id"], more: 1 }])
  expect(json([{ $ref: [id, "id"] }], { depends_on: [] })).toEqual([{ $ref: [id, "id"] }])
  expect(json([{ $ref: [id, "no"] }])).toBe("reference_missing")
  expect(json([["$ref", id, []]])).toEqual([["$ref", id, []]])
  expect(json({ not: "a list" })).toBe("invalid_args")
})

test("references that would make the args gigantic are rejected", async () => {
  await using it = await setup("x".repeat(1024 * 1024))
  expect(it.take(`[[${Array(20).fill(it.ref([])).join(",")}]]`)).toBe("invalid_args")
})

test("a result over the limit rejects its op and leaves nothing", async () => {
  await using it = await setup("x".repeat(5 * 1024 * 1024))
  expect(it.writer.append(op("make")).rejected[0]?.code).toBe("result_too_large")
})

test("wanted results that do not fit into one answer make the batch too_large, and nothing is decided", async () => {
  await using it = await setup("x".repeat(3 * 1024 * 1024))
  const ops = [1, 2, 3].map(() => op("make", [], { want_result: true }))
  expect(it.writer.send(ops)).toMatchObject({ refused: "too_large" })
  expect(ops.map(({ op_id }) => it.box.effects(op_id))).toEqual([0, 0, 0])
  expect(it.writer.append(ops[0]!, ops[1]!).applied).toHaveLength(2)
})

test("a result that cannot be sent is a bug of the handler: the batch is rolled back", async () => {
  await using it = await setup()
  it.box.core.methods = { make: () => new Map() }
  expect(() => it.writer.send([op("make")])).toThrow("the server failed")
})

test("a clock that was set back for a while does not expire what was applied before", async () => {
  await using it = await setup()
  it.box.clock.jump(-result_retention_ms - 1000)
  it.writer.append(op("make"))
  it.box.clock.jump(result_retention_ms + 1000)
  it.writer.append(op("make"))
  expect(it.take(`[[${it.ref(["id"])}]]`)).toEqual(["note_1"])
  expect(it.writer.append({ ...it.made, want_result: true }).results).toHaveProperty(it.made.op_id)
})
