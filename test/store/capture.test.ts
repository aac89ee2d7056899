import { describe, expect, test } from "bun:test"
import { tempDir } from "../temp-dir.ts"
import { openStore } from "./box.ts"

describe("a captureId", () => {
  test("given again records nothing and returns the first op", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first] = store.unit([{ capture_id: "event_1" }])
    const [again] = store.unit([{ capture_id: "event_1", args: ["other"] }])
    expect([again!.op_id, again!.seq, store.pending()]).toEqual([first!.op_id, undefined, 1])
  })

  test("given again after a restart records nothing", async () => {
    await using dir = tempDir()
    const before = openStore(dir.file())
    const [first] = before.unit([{ capture_id: "event_1" }])
    before.close()
    using store = openStore(dir.file(), { clock: before.clock })
    expect(store.unit([{ capture_id: "event_1" }])[0]!.op_id).toBe(first!.op_id)
  })

  test("given twice in one unit records one op", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first, second] = store.unit([{ capture_id: "event_1" }, { capture_id: "event_1" }])
    expect([second!.op_id, store.pending()]).toEqual([first!.op_id, 1])
  })

  test("is a stream's own: another stream records the same event", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const other = store.streams.open("other", { ...store.stream(), share_id: "share_of_the_test_1" })
    store.record({ capture_id: "event_1" })
    store.recorder.record(other.stream_id, [store.newOp({ capture_id: "event_1" })])
    expect(store.count("sturdy_op")).toBe(2)
  })

  test("still stands for the op after it was superseded, settled or rejected", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [old] = store.record({ capture_id: "event_1", key: "a" })
    const [newer] = store.record({ capture_id: "event_2", key: "a" })
    store.settle({ [newer!]: "no_access" })
    expect(store.record({ capture_id: "event_1" }, { capture_id: "event_2" })).toEqual([old!, newer!])
  })

  test("of a unit that was rolled back is not remembered", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    expect(() => store.unit([{ capture_id: "event_1" }, { args: ["x".repeat(5_000_000)] }])).toThrow()
    expect([store.recorder.captures.captured(store.stream_id, "event_1"), store.pending()]).toEqual([undefined, 0])
  })

  test("lets a later op of the unit refer to the op that stands for it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first] = store.record({ capture_id: "event_1" })
    const asked = store.newOp({ capture_id: "event_1" })
    const args = `[["$ref","${asked.op_id}",["id"]]]`
    const user = { ...store.newOp({ depends_on: [asked.op_id], references: [asked.op_id] }), args: `[${args}]` }
    store.recorder.record(store.stream_id, [asked, user])
    const sent = store.freeze()[0]!.ops.at(-1)!
    expect([sent.depends_on, sent.args]).toEqual([[first!], `[[["$ref","${first}",["id"]]]]`])
  })
})

describe("a stale op", () => {
  test("notes its captureId, records nothing, and the op of the newer state stands for it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [newer] = store.record({ key: "a", only_if_changed: true, args: [2] })
    const [late] = store.unit([{ key: "a", stale: true, capture_id: "event_1", args: [1] }])
    expect([late!.op_id, late!.seq, store.pending()]).toEqual([newer!, undefined, 1])
    expect(store.recorder.captures.captured(store.stream_id, "event_1")).toEqual({ op_id: newer! })
  })

  test("without newer state of its key is noted and stands for itself", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.unit([{ stale: true, capture_id: "event_1" }])
    expect([store.pending(), store.recorder.captures.captured(store.stream_id, "event_1")]).toEqual([
      0,
      { op_id: undefined },
    ])
  })
})

describe("onlyIfChanged", () => {
  test("skips what equals the last op of the key, and returns that op", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const put = { key: "a", only_if_changed: true, args: [{ v: 1 }] }
    const [first, again] = store.record(put, put)
    expect([again, store.pending()]).toEqual([first!, 1])
  })

  test("records a change, and the change back", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const put = (v: number) => ({ key: "a", only_if_changed: true, args: [{ v }] })
    store.record(put(1))
    store.freeze()
    store.record(put(2))
    store.freeze()
    store.record(put(1))
    expect(store.pending()).toBe(3)
  })

  test("takes another method with the same arguments for a change", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first, second] = store.record(
      { key: "a", only_if_changed: true },
      { key: "a", only_if_changed: true, method: "remove" },
    )
    expect(second).not.toBe(first!)
  })

  test("is undone with the unit that failed", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const put = { key: "a", only_if_changed: true, args: [{ v: 1 }] }
    expect(() => store.unit([put, { args: ["x".repeat(5_000_000)] }])).toThrow()
    store.record(put)
    expect(store.pending()).toBe(1)
  })

  test("counts as changed again once the keys with its prefix were ended, and only those", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const put = (key: string) => ({ key, only_if_changed: true, args: [1] })
    store.record(put("msg/1/a"), put("msg/1/b"), put("msg/10"), { ends_keys: "msg/1/" })
    store.freeze()
    store.record(put("msg/1/a"), put("msg/1/b"), put("msg/10"))
    expect(store.pending()).toBe(6)
  })

  test("gives an op the dependencies of the first op of each key that it names", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first] = store.record({ key: "message", only_if_changed: true, args: [1] })
    store.freeze()
    store.record({ key: "message", only_if_changed: true, args: [2] })
    store.record({ depends_on_keys: ["message", "not there"] })
    expect(store.freeze().at(-1)!.ops.at(-1)!.depends_on).toEqual([first!])
  })
})

describe("a bookmark", () => {
  const at = (place: number, mark?: string) => ({ source: "recording/1", place, ...(mark && { mark }) })

  test("is written with the unit", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.unit([{}], at(5, "event_5"))
    expect(store.recorder.captures.bookmark("recording/1")).toEqual(at(5, "event_5"))
  })

  test("is not written with a unit that failed", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    expect(() => store.unit([{ args: ["x".repeat(5_000_000)] }], at(5))).toThrow()
    expect(store.recorder.captures.bookmark("recording/1")).toBeUndefined()
  })

  test("only grows", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.recorder.recordBookmark(at(5, "event_5"))
    store.recorder.recordBookmark(at(3, "event_3"))
    expect(store.recorder.captures.bookmark("recording/1")).toEqual(at(5, "event_5"))
  })
})
