/** An app's payload changes while clients hold ops of earlier versions, and a service is rolled back under newer ones. */
import { expect, test } from "bun:test"
import { createShareService, type Methods, Rejection, type ShareServiceOptions } from "../../src/service/index.ts"
import { openBox as openClient } from "../flusher/box.ts"
import { op, openBox, said, tempDir } from "./box.ts"

/** A note was first a title, then title and tags, then one object. */
const upcasts = {
  1: ([title]: unknown[]) => [title, []],
  2: ([title, tags]: unknown[]) => [{ title, tags }],
}

/** What the handler was given, and which version the op was of. */
function versioned(more: Methods = {}) {
  const seen: unknown[] = []
  const methods: Methods = {
    put: {
      version: 3,
      upcasts,
      handle: ({ schema_version }, ...args) => {
        seen.push([schema_version, args])
        return args[0]
      },
    },
    plain: ({ schema_version }, ...args) => void seen.push([schema_version, args]),
    ...more,
  }
  return { methods, seen }
}

async function opened(more: Methods = {}) {
  const { methods, seen } = versioned(more)
  const box = await openBox({ methods })
  box.create()
  return { box, seen, writer: box.writer(), [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
}

const of = (schema_version: number) => ({ schema_version })

test("an op of an older version is lifted step by step; the context says what the client said", async () => {
  await using it = await opened()
  const ops = [op("put", ["a"], of(1)), op("put", ["b", ["x"]], of(2)), op("put", [{ title: "c", tags: [] }], of(3))]
  expect(it.writer.append(...ops).applied).toHaveLength(3)
  expect(it.seen).toEqual([
    [1, [{ title: "a", tags: [] }]],
    [2, [{ title: "b", tags: ["x"] }]],
    [3, [{ title: "c", tags: [] }]],
  ])
})

test("a plain handler takes every version as it is", async () => {
  await using it = await opened()
  it.writer.append(op("plain", ["a"], of(1)), op("plain", ["b"], of(99)))
  expect(it.seen).toEqual([
    [1, ["a"]],
    [99, ["b"]],
  ])
})

test("an upcast sees the values behind references, and the context without sql", async () => {
  const contexts: object[] = []
  await using it = await opened({
    late: {
      version: 2,
      upcasts: {
        1: (args, context) => {
          contexts.push(context)
          return args.toReversed()
        },
      },
      handle: (_, ...args) => args,
    },
  })
  const note = op("put", ["a"], of(1))
  const late = op("late", [], {
    ...of(1),
    args: JSON.stringify([[["$ref", note.op_id, ["title"]], 2]]),
    depends_on: [note.op_id],
    want_result: true,
  })
  const { applied, results } = it.writer.append(note, late)
  expect([applied.length, results?.[late.op_id]]).toEqual([2, '[[2,"a"]]'])
  expect(contexts).toMatchObject([{ op_id: late.op_id, schema_version: 1 }])
  expect(contexts[0]).not.toHaveProperty("sql")
})

test.each([
  ["a version that is not known yet", 4, "the op is of version 4; put takes versions 1 to 3 here"],
  ["a version from which no upcast begins", 0, "the op is of version 0; put takes versions 1 to 3 here"],
])("an op of %s is rejected with a code, and the ops after it go on", async (_, version, message) => {
  await using it = await opened()
  const [odd, next] = [op("put", ["a"], of(version)), op("put", ["b"], of(1))]
  const { applied, rejected } = it.writer.append(odd, next)
  expect(rejected).toEqual([{ op_id: odd.op_id, code: "unknown_version", message }])
  expect(applied).toEqual([next.op_id])
  expect(it.seen).toHaveLength(1)
})

test("a method without upcasts takes its own version alone, and says so", async () => {
  await using it = await opened({ only: { version: 2, handle: () => undefined } })
  const { applied, rejected } = it.writer.append(op("only", [], of(1)), op("only", [], of(2)), op("only", [], of(3)))
  expect(applied).toHaveLength(1)
  expect(rejected.map(({ message }) => message)).toEqual([
    "the op is of version 1; only takes version 2 here",
    "the op is of version 3; only takes version 2 here",
  ])
})

test("an unknown method stays unknown, whatever its version", async () => {
  await using it = await opened()
  const { rejected } = it.writer.append(op("none", [], of(7)), op("constructor", [], of(1)))
  expect(rejected.map(({ code }) => code)).toEqual(["unknown_method", "unknown_method"])
})

test("the version comes before the args: those of an unknown one are not decoded", async () => {
  await using it = await opened()
  const { rejected } = it.writer.append(op("put", [], { ...of(9), args: "no JSON" }))
  expect(rejected.map(({ code }) => code)).toEqual(["unknown_version"])
})

test("an upcast may reject an op that cannot be lifted", async () => {
  const upcast = () => {
    throw new Rejection("note_too_old", "a note needs an author since version 2")
  }
  await using it = await opened({ strict: { version: 2, upcasts: { 1: upcast }, handle: () => undefined } })
  const { applied, rejected } = it.writer.append(op("strict", [], of(1)), op("strict", [], of(2)))
  expect([applied.length, rejected.map(({ code }) => code)]).toEqual([1, ["note_too_old"]])
})

test.each<[string, () => never]>([
  [
    "throws",
    () => {
      throw new Error("SECRET of the upcast")
    },
  ],
  ["returns no array", () => "args" as never],
  ["returns a promise", () => Promise.resolve([]) as never],
])("an upcast that %s is a bug of the service: the whole batch is rolled back", async (_, upcast) => {
  await using it = await opened({ buggy: { version: 2, upcasts: { 1: upcast }, handle: () => undefined } })
  const fine = op("put", ["a"], of(1))
  expect(() => it.writer.send([fine, op("buggy", [], of(1))])).toThrow()
  expect(it.box.effects(fine.op_id)).toBe(0)
  // Not decided: sent again alone, it is.
  expect(said(it.writer.send([fine]))).toMatchObject({ applied: [fine.op_id] })
})

test("an op that was decided before the upgrade is the same op after it", async () => {
  await using box = await openBox({ methods: { put: () => undefined } })
  box.create()
  const writer = box.writer()
  const batch = writer.batch([op("put", ["a"], of(1)), op("gone", [], of(1))])
  const first = said(writer.share.appendOps(batch))
  box.core.methods = versioned().methods
  const again = writer.share.appendOps(batch)
  const [put, gone] = batch.ops
  expect(first).toMatchObject({ applied: [put!.op_id], rejected: [[gone!.op_id, "unknown_method"]] })
  expect(said(again)).toMatchObject({ duplicates: [put!.op_id], rejected: [[gone!.op_id, "unknown_method"]] })
})

test("what is kept of an op is what was sent, of the version that the client said", async () => {
  await using it = await opened()
  it.writer.append(op("put", ["a"], of(1)))
  const [entry] = it.writer.share.readShare({}).ops
  expect(entry).toMatchObject({ schema_version: 1, args: '[["a"]]' })
})

test.each<[unknown]>([[null], [[]], ["put"], [5]])(
  "methods that are %p are refused when the service is created",
  async (wrong) => {
    await using dir = tempDir()
    expect(() => createShareService({ file: dir.file, methods: wrong as Methods })).toThrow(
      new TypeError("methods must be an object of handlers, by the name of each"),
    )
  },
)

const handle = () => undefined
const pass = (args: unknown[]) => args
test.each<[string, unknown, string]>([
  ["nothing", null, "neither a handler"],
  ["a text", "put", "neither a handler"],
  ["a table without handle", { version: 1 }, "handle is no function"],
  ["a handle that is none", { version: 1, handle: "put" }, "handle is no function"],
  ["no version", { handle }, "version must be a positive integer, got undefined"],
  ["version 0", { version: 0, handle }, "got 0"],
  ["half a version", { version: 1.5, handle }, "got 1.5"],
  ["a version in words", { version: "2", handle }, "version must be a positive integer"],
  ["a list of upcasts", { version: 2, upcasts: [pass, pass], handle }, "must be an object"],
  ["an upcast from its own version", { version: 2, upcasts: { 1: pass, 2: pass }, handle }, "upcasts.2: "],
  ["an upcast from a later version", { version: 2, upcasts: { 7: pass }, handle }, "upcasts.7: "],
  ["an upcast from a negative version", { version: 2, upcasts: { [-1]: pass }, handle }, "upcasts.-1: "],
  ["an upcast from a name", { version: 2, upcasts: { one: pass }, handle }, "upcasts.one: "],
  ["an upcast that is none", { version: 2, upcasts: { 1: "up" }, handle }, "upcasts.1 is no function"],
  ["a gap", { version: 4, upcasts: { 1: pass, 3: pass }, handle }, "no upcast from version 2"],
  ["upcasts that stop early", { version: 3, upcasts: { 1: pass }, handle }, "no upcast from version 2"],
])("a service is not made with %s for a method", async (_, method, message) => {
  await using dir = tempDir()
  const create = () => createShareService({ file: dir.file, methods: { fine: handle, put: method } as Methods })
  expect(create).toThrow(TypeError)
  expect(create).toThrow("method put: ")
  expect(create).toThrow(message)
})

/** A client with an outbox, and a service whose methods are those of a release. */
async function clientOf(methods: Methods) {
  const service: Partial<ShareServiceOptions> = { methods }
  const box = await openClient({ service })
  const outbox = box.open()
  const stream = box.stream(outbox)
  return {
    box,
    outbox,
    stream,
    deploy(next: Methods) {
      service.methods = next
      box.replaceService(box.dir.file("service.db"))
    },
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  }
}

test("a client with pending ops of version 1 meets a service upgraded to version 3: all are applied", async () => {
  const { methods, seen } = versioned()
  await using it = await clientOf({ put: () => undefined })
  it.outbox.pause()
  const notes = ["a", "b"].map((title) => it.stream.record({ method: "put", args: [title], wantResult: true }))
  it.deploy(methods)
  it.stream.record({ method: "put", args: [{ title: "c", tags: [] }], schemaVersion: 3 })
  it.outbox.resume()
  expect(await it.box.run(it.outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(seen).toEqual([
    [1, [{ title: "a", tags: [] }]],
    [1, [{ title: "b", tags: [] }]],
    [3, [{ title: "c", tags: [] }]],
  ])
  expect(await it.box.run(it.outbox.result(notes[1]!))).toEqual({ title: "b", tags: [] })
})

test("a lost answer across the upgrade: the retry of the same op is its duplicate", async () => {
  const { methods, seen } = versioned()
  await using it = await clientOf({ put: () => "as version 1 gave it" })
  const note = it.stream.record({ method: "put", args: ["a"], wantResult: true })
  it.box.fates.push(async (deliver) => {
    await deliver()
    it.deploy(methods)
    throw new Error("the answer is lost")
  })
  expect(await it.box.run(it.outbox.result(note))).toBe("as version 1 gave it")
  expect(seen).toEqual([])
})

test("a service rolled back under newer ops rejects them with a code, and the others go on", async () => {
  const { methods, seen } = versioned()
  await using it = await clientOf(methods)
  it.outbox.pause()
  const newer = it.stream.record<{ title: string }>({
    method: "put",
    args: [{ title: "a" }],
    schemaVersion: 3,
    wantResult: true,
  })
  const dependent = it.stream.record({ method: "plain", args: [newer.title], wantResult: true })
  it.stream.record({ method: "put", args: ["b"] })
  it.deploy({ ...methods, put: { version: 1, handle: (_, ...args) => void seen.push(args) } })
  it.outbox.resume()
  const { box, outbox } = it
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(seen).toEqual([["b"]])
  for (const [intent, words] of [
    [newer, "unknown_version, the op is of version 3; put takes version 1 here"],
    [dependent, "dependency_rejected"],
  ] as const) {
    const failure = await outbox.result(intent).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: "op_rejected", message: expect.stringContaining(words) })
  }
})
