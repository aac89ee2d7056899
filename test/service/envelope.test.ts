import { expect, test } from "bun:test"
import fc from "fast-check"
import { opBytes } from "../../src/intent/op.ts"
import type { AppendBatch } from "../../src/wire/contract.ts"
import { nextId, op, openBox, said } from "./box.ts"

async function setup() {
  const box = await openBox({ methods: { echo: () => undefined }, limits: { batch_bytes_max: 0, op_bytes_max: 0 } })
  box.create()
  return { box, writer: box.writer(), [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
}

test("a batch that is not one is malformed and changes nothing", async () => {
  await using it = await setup()
  const good = it.writer.batch([op("echo")])
  const one = good.ops[0]!
  const bad: unknown[] = [
    undefined,
    null,
    [],
    "batch",
    {},
    { ...good, ops: [] },
    { ...good, ops: {} },
    { ...good, ops: [one, one] },
    { ...good, writer_id: "short" },
    { ...good, writer_id: "x".repeat(129) },
    { ...good, writer_id: "spaces are not allowed" },
    { ...good, batch_id: "b" },
    { ...good, expected_cursor: -1 },
    { ...good, expected_cursor: 0.5 },
    { ...good, expected_cursor: 2 ** 53 },
    { ...good, expected_head_op_id: "" },
    { ...good, settled_op_id: "x" },
    { ...good, settled_op_id: undefined },
    ...[
      { op_id: one.op_id.toLowerCase() },
      { op_id: `8${one.op_id.slice(1)}` },
      { op_id: 5 },
      { method: "" },
      { method: "ü".repeat(257) },
      { codec: "xml" },
      { args: [] },
      { depends_on: null },
      { depends_on: ["x"] },
      { depends_on: Array.from({ length: 257 }, nextId) },
      { supersedes: ["x"] },
      { supersedes: Array.from({ length: 65 }, nextId) },
      { want_result: false },
      { schema_version: "1" },
      { actor_id: 5 },
      { time_created: Number.NaN },
      { target: [] },
    ].map((change) => ({ ...good, ops: [{ ...one, ...change }] })),
  ]
  expect(bad.map((batch) => said(it.writer.share.appendOps(batch as AppendBatch)))).toEqual(bad.map(() => "malformed"))
  expect(["op", "applied", "writer"].map((table) => it.box.rows(table))).toEqual([0, 0, 0])
})

test("64 superseded and 256 dependencies are within the limits", async () => {
  await using it = await setup()
  const supersedes = Array.from({ length: 64 }, nextId)
  expect(it.writer.append(op("echo", [], { supersedes })).applied).toHaveLength(1)
  const depends_on = Array.from({ length: 256 }, (_, at) => supersedes[at % 64]!)
  expect(it.writer.append(op("echo", [], { depends_on })).applied).toHaveLength(1)
})

test("an optional field that is undefined is one that is missing", async () => {
  await using it = await setup()
  const sparse = {
    ...op("echo"),
    actor_id: undefined,
    supersedes: undefined,
    want_result: undefined,
    target: undefined,
  }
  expect(
    said(it.writer.share.appendOps({ ...it.writer.batch([]), ops: [sparse] } as unknown as AppendBatch)),
  ).toMatchObject({ applied: [sparse.op_id] })
})

test("unknown fields are ignored, so that a newer client is understood", async () => {
  await using it = await setup()
  const newer = { ...it.writer.batch([{ ...op("echo"), colour: "red" } as never]), mood: "fine" }
  expect(said(it.writer.share.appendOps(newer))).toMatchObject({ cursor: 1 })
})

test("the limits of an op and of a batch are exact, in UTF-8 bytes of the JSON text", async () => {
  await using it = await setup()
  const { op_bytes_max, batch_bytes_max } = it.box.core.limits
  const exactly = (bytes: number) => {
    const empty = op("echo")
    return { ...empty, args: `[["ü${"x".repeat(bytes - opBytes(empty) - 6)}"]]` }
  }
  const full = exactly(op_bytes_max)
  expect(opBytes(full)).toBe(op_bytes_max)
  expect(said(it.writer.send([exactly(op_bytes_max + 1)]))).toBe("too_large")
  expect(it.writer.append(full).applied).toHaveLength(1)
  const three = [1, 2, 3].map(() => exactly(op_bytes_max))
  const around = Buffer.byteLength(JSON.stringify(it.writer.batch([...three, op("echo")])))
  const filling = (spare: number) => [...three, exactly(opBytes(op("echo")) + batch_bytes_max - around + spare)]
  expect(said(it.writer.send(filling(1)))).toBe("too_large")
  expect(it.writer.append(...filling(0)).applied).toHaveLength(4)
})

test("a thousand ops are one batch, one more is too_large", async () => {
  await using it = await setup()
  const ops = Array.from({ length: 1001 }, () => op("echo"))
  expect(said(it.writer.send(ops))).toBe("too_large")
  expect(it.writer.append(...ops.slice(1)).applied).toHaveLength(1000)
})

test("whatever is sent as a batch, the answer is an Ack or a refusal, and no op has two effects", async () => {
  await using it = await setup()
  const good = it.writer.batch([op("echo")])
  const refusals = ["malformed", "gap", "server_reset", "too_large"]
  const key = fc.constantFrom(...Object.keys(good))
  const opKey = fc.constantFrom(...Object.keys(good.ops[0]!), "target", "actor_id", "supersedes", "want_result")
  fc.assert(
    fc.property(fc.anything(), key, opKey, (value, key, opKey) => {
      const changed = { ...good, ops: [{ ...good.ops[0], [opKey]: value }] }
      for (const batch of [value, { ...good, [key]: value }, changed]) {
        const answer = it.writer.share.appendOps(batch as AppendBatch)
        if ("refused" in answer) expect(refusals).toContain(answer.refused)
        else expect([...answer.applied, ...answer.duplicates, ...answer.rejected]).toHaveLength(1)
      }
    }),
    { numRuns: 500, seed: 2 },
  )
  expect(it.box.effects(good.ops[0]!.op_id)).toBeLessThanOrEqual(1)
  expect(it.box.events.filter(({ name }) => name === "failure")).toEqual([])
})
