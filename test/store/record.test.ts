import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { opBytes } from "../../src/intent/op.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openStore } from "./box.ts"

describe("record", () => {
  test("puts ops at the end of the stream, in order", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const ids = store.record({}, {}, {})
    expect([store.pendingIds(), store.pending()]).toEqual([ids, 3])
  })

  test("survives closing and opening the file", async () => {
    await using dir = tempDir()
    let store = openStore(dir.file())
    const ids = store.record({ args: [{ title: "ü\u0000\ud800" }] }, {})
    const frozen = JSON.stringify(store.freeze()[0]!.ops)
    store.close()
    store = openStore(dir.file(), { clock: store.clock })
    store.clock.turn(limit.lease_ms)
    expect([store.pendingIds(), JSON.stringify(store.freeze()[0]!.ops)]).toEqual([ids, frozen])
    store.close()
  })

  test("keeps streams apart, each with its own order", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const other = store.streams.open("other", { ...ref2 })
    store.record({})
    store.recorder.record(other.stream_id, [store.newOp()])
    store.record({})
    expect([store.pending(), store.streams.pendingCount(store.streams.get(other.stream_id))]).toEqual([2, 1])
  })

  test("writes nothing of a unit in which one op is refused", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [old] = store.record({ key: "k" })
    const [newer] = store.record({ key: "k" })
    const before = store.db.serialize()
    const error = errorOf(() =>
      store.unit([
        { capture_id: "c", only_if_changed: true, key: "i" },
        { depends_on: [old!], references: [old!] },
      ]),
    )
    expect([error.code, store.pendingIds(), store.count("sturdy_capture")]).toEqual([
      "reference_superseded",
      [newer!],
      0,
    ])
    expect(Buffer.compare(store.db.serialize(), before)).toBe(0)
  })

  test("refuses a stream whose removal was recorded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.streams.recordRemoval(store.stream_id)
    expect(errorOf(() => store.record({})).code).toBe("stream_closed")
    expect(store.count("sturdy_op")).toBe(0)
  })
})

const ref2 = {
  service: "https://notes.example.com/rpc/share",
  share_id: "share_of_the_test_1",
  secret: "secret_of_the_test_0123456789abcdef",
}

describe("sizes", () => {
  test("an op over the limit is refused and nothing is written", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    expect(errorOf(() => store.record({ args: ["x".repeat(limit.op_bytes_max)] })).code).toBe("op_too_large")
    expect(store.count("sturdy_op")).toBe(0)
  })

  test("a unit over the limit of ops is refused and nothing is written", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const unit = Array.from({ length: limit.batch_ops_max + 1 }, () => ({}))
    expect(errorOf(() => store.unit(unit)).code).toBe("unit_too_large")
    expect(store.count("sturdy_op")).toBe(0)
  })

  test("a unit over the limit of bytes is refused and nothing is written", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const third = { args: ["x".repeat(3 * 1024 * 1024)] }
    expect(errorOf(() => store.unit([third, third, third])).code).toBe("unit_too_large")
    expect(store.count("sturdy_op")).toBe(0)
  })

  test("the limits of a grant count once they are known", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.db.run("update sturdy_stream set op_bytes_max = 262144")
    expect(errorOf(() => store.record({ args: ["x".repeat(262_144)] })).code).toBe("op_too_large")
  })

  test("size is counted in UTF-8 bytes, not in characters", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const text = "ü".repeat(limit.op_bytes_max / 2)
    expect(errorOf(() => store.record({ args: [text] })).code).toBe("op_too_large")
  })
})

describe("the text of a frozen op (I8)", () => {
  const odd = {
    args: [{ title: 'quotes " and \\ and \u0000 and ü and \ud800', when: new Date(5) }],
    actor_id: "somebody ü",
    schema_version: 7,
    want_result: true,
  }

  test("is equal in each attempt, after other ops were recorded, and after reopening", async () => {
    await using dir = tempDir()
    let store = openStore(dir.file())
    store.record({ key: "k" }, { ...odd, key: "k" }, {})
    const sent = () => JSON.stringify(store.freeze().map(({ batch_id, ops }) => [batch_id, ops])[0])
    const first = sent()
    store.record({ key: "k" })
    const again = sent()
    store.close()
    store = openStore(dir.file(), { clock: store.clock })
    store.clock.turn(limit.lease_ms)
    const reopened = sent()
    store.close()
    expect([again, reopened]).toEqual([first, first])
  })

  test("is never larger than what was checked when it was recorded, with a full list of superseded ops", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const room = limit.supersedes_max * 29 + 20
    for (let i = 0; i < limit.supersedes_max; i++) store.record({ ...odd, key: "k" })
    const last = store.newOp({ ...odd, key: "k" })
    const alone = opBytes({ ...wire(last), supersedes: [] })
    store.recorder.record(store.stream_id, [last])
    const sent = store.freeze()[0]!.ops[0]!
    expect([sent.op_id, sent.supersedes!.length]).toEqual([last.op_id, limit.supersedes_max])
    expect(opBytes(sent)).toBeLessThanOrEqual(alone + room)
  })

  test("has the size that the batch counts", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.unit([odd, {}, { args: [1, 2, 3] }])
    const [batch] = store.freeze()
    expect(Buffer.byteLength(JSON.stringify(batch!.ops))).toBeLessThanOrEqual(batch!.bytes)
    expect(store.db.query("select bytes, op_count from sturdy_batch").get()).toEqual({
      bytes: batch!.bytes,
      op_count: 3,
    })
  })
})

function wire(op: { op_id: string; method: string; args: string; time_created: number }) {
  const { op_id, method, args, time_created } = op
  return {
    op_id,
    method,
    codec: "capnweb" as const,
    args,
    depends_on: [],
    want_result: true as const,
    schema_version: 7,
    actor_id: "somebody ü",
    time_created,
  }
}

describe("the quota", () => {
  test("takes no op beyond it, and takes ops again after the drain", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file(), { outbox_bytes_max: 400_000 })
    const op = { args: ["x".repeat(50_000)] }
    const full = errorOf(() => {
      for (;;) store.record(op)
    })
    const held = store.pending()
    expect([full.code, full.indeterminate, held > 0]).toEqual(["outbox_full", false, true])
    expect(errorOf(() => store.record(op)).code).toBe("outbox_full")
    expect(store.pending()).toBe(held)
    store.settle()
    store.db.run("delete from sturdy_op")
    store.record(op)
    expect(store.pending()).toBe(1)
  })
})

describe("streams", () => {
  test("a name opened again is the same stream, with the same writer", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const again = store.streams.open("notes", store.stream())
    expect([again.stream_id, again.writer_id]).toEqual([store.stream_id, store.stream().writer_id])
  })

  test("a name is never given to another share", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const error = errorOf(() => store.streams.open("notes", ref2))
    expect([error.code, error.message]).toEqual(["stream_conflict", "stream notes exists with another share_id"])
  })

  test("no secret stands in an error of a stream", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const secret = "another_secret_0123456789abcdef"
    const error = errorOf(() => store.streams.open("notes", { ...store.stream(), secret }))
    expect(JSON.stringify([error.message, error.hint, error.stack])).not.toContain("secret_")
  })
})
