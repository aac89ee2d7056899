import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { idsFromBlob } from "../../src/store/id-blob.ts"
import { errorOf } from "../sturdy-error.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { type Box, openStore } from "./box.ts"

function supersedes(store: Box, index: number): string[] {
  const row = store.db
    .query<{ supersedes: Uint8Array | null }, [number]>(
      "select supersedes from sturdy_op order by seq limit 1 offset ?",
    )
    .get(index)
  return row?.supersedes ? idsFromBlob(row.supersedes) : []
}

describe("an op with the key of an unfrozen op", () => {
  test("replaces it, takes the last place and names it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a, b, newer] = store.record({ key: "a" }, { key: "b" }, { key: "a" })
    expect([store.pendingIds(), supersedes(store, 1), store.pending()]).toEqual([[b!, newer!], [a!], 2])
    expect(store.state(a!)).toMatchObject([{ state: "superseded" }])
    expect(store.knowledge.stateOf(store.stream(), a!)).toEqual({ state: "superseded", by_op_id: newer! })
  })

  test("also names those that the replaced one had replaced", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first, second, third] = store.record({ key: "a" }, { key: "a" }, { key: "a" })
    expect([store.pendingIds(), supersedes(store, 0)]).toEqual([[third!], [second!, first!]])
  })

  test("replaces it after the file was closed and opened", async () => {
    await using dir = tempDir()
    const first = openStore(dir.file())
    const [a] = first.record({ key: "a" })
    first.close()
    using store = openStore(dir.file(), { clock: first.clock })
    const [newer] = store.record({ key: "a" })
    expect([store.pendingIds(), supersedes(store, 0)]).toEqual([[newer!], [a!]])
  })
})

describe("an op is not replaced", () => {
  test("once it is frozen", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    // The second makes the store read the first: it is remembered as one that may be replaced.
    const [a, b] = store.record({ key: "a" }, { key: "b" })
    store.freeze()
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([a!, b!, newer!])
  })

  test("if another op depends on it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    const [b] = store.record({ depends_on: [a!] })
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([a!, b!, newer!])
  })

  test("if the newer op itself depends on it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    const [newer] = store.record({ key: "a", depends_on: [a!] })
    expect(store.pendingIds()).toEqual([a!, newer!])
  })

  test("if an op depends on one that it superseded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [old, a] = store.record({ key: "a" }, { key: "a" })
    const [b] = store.record({ depends_on: [old!] })
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([a!, b!, newer!])
  })

  test("if the newer op depends on one that it superseded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [old, a] = store.record({ key: "a" }, { key: "a" })
    const [newer] = store.record({ key: "a", depends_on: [old!] })
    expect(store.pendingIds()).toEqual([a!, newer!])
  })

  test("if it belongs to a unit of several ops, first, middle or last", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const unit = store.unit([{ key: "a" }, { key: "b" }, { key: "c" }]).map((op) => op.op_id)
    const newer = store.record({ key: "a" }, { key: "b" }, { key: "c" })
    expect(store.pendingIds()).toEqual([...unit, ...newer])
  })

  test("by an op of a unit of several", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    const unit = store.unit([{ key: "a" }, {}]).map((op) => op.op_id)
    expect(store.pendingIds()).toEqual([a!, ...unit])
  })

  test("past an op of a unit with the same key: order would be lost", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    const unit = store.unit([{ key: "a" }, {}]).map((op) => op.op_id)
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([a!, ...unit, newer!])
  })

  test("once it names 64 others", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    for (let i = 0; i <= limit.supersedes_max; i++) store.record({ key: "a" })
    expect([store.pending(), supersedes(store, 0).length]).toEqual([1, limit.supersedes_max])
    store.record({ key: "a" })
    expect([store.pending(), supersedes(store, 1)]).toEqual([2, []])
  })

  test("by an op of another stream with the same key", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const other = store.streams.open("other", { ...store.stream(), share_id: "share_of_the_test_1" }, undefined)
    store.record({ key: "a" })
    store.recorder.record(other.stream_id, [store.newOp({ key: "a" })])
    expect([store.pending(), store.count("sturdy_op")]).toEqual([1, 2])
  })

  test("by an op of another stream, although what is known of its own was read first", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const other = store.streams.open("other", { ...store.stream(), share_id: "share_of_the_test_1" }, undefined)
    // The second makes the store read the first: it is remembered as one that may be replaced.
    for (const key of ["a", "b"]) store.recorder.record(other.stream_id, [store.newOp({ key })])
    store.record({ key: "a" })
    expect([store.pending(), store.count("sturdy_op")]).toEqual([1, 3])
  })
})

describe("with more ops between than are looked at", () => {
  const between = 10_050

  test("an op on which one of them depends is not replaced", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    // The second makes the store read the first: it is remembered as one that may be replaced.
    const [a] = store.record({ key: "a" }, { key: "b" })
    store.record({ depends_on: [a!] })
    for (let n = 0; n < between; n++) store.record({})
    store.record({ key: "a" })
    expect(store.state(a!)).toMatchObject([{ state: "pending" }])
    expect(store.pending()).toBe(between + 4)
  })

  test("an op that another process replaced is not replaced again, and the same key coalesces from then on", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" }, { key: "b" })
    using handle = new ScopedDatabase(dir.file())
    const other = openStore(handle)
    handle.run("begin")
    const [theirs] = other.record({ key: "a" })
    for (let n = 0; n < between; n++) other.record({})
    handle.run("commit")
    const [ours] = store.record({ key: "a" })
    const [newer] = store.record({ key: "a" })
    const stateOf = (op_id: string | undefined) => store.knowledge.stateOf(store.stream(), op_id!)
    expect(stateOf(a)).toEqual({ state: "superseded", by_op_id: theirs! })
    expect(stateOf(ours)).toEqual({ state: "superseded", by_op_id: newer! })
    expect(stateOf(newer)).toEqual({ state: "pending" })
  })
})

describe("after a replacement", () => {
  test("a reference to the result of the replaced op is refused", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" }, { key: "a" })
    expect(errorOf(() => store.record({ depends_on: [a!], references: [a!] })).code).toBe("reference_superseded")
  })

  test("a record that fails leaves the replaced op in its place", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    store.db.run("create trigger no_more before insert on sturdy_op begin select raise(abort, 'no'); end")
    expect(() => store.record({ key: "a" })).toThrow()
    store.db.run("drop trigger no_more")
    expect(store.pendingIds()).toEqual([a!])
    const [newer] = store.record({ key: "a" })
    expect([store.pendingIds(), supersedes(store, 0)]).toEqual([[newer!], [a!]])
  })
})

describe("in another process on the same file", () => {
  // A second handle in one process is refused by openOutbox; a child stands for the other process.
  async function elsewhere(file: string, ...ops: object[]): Promise<void> {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/record-fixture.ts`, file, JSON.stringify(ops)], {
      stdout: "inherit",
      stderr: "inherit",
    })
    expect(await child.exited).toBe(0)
  }

  test("an op recorded there is replaced here", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({ key: "x" })
    await elsewhere(dir.file(), { key: "a" })
    const [newer] = store.record({ key: "a" })
    expect([store.pending(), store.pendingIds().at(-1)]).toEqual([2, newer!])
  })

  test("an op that was replaced there is not replaced again here", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a, between] = store.record({ key: "a" }, { key: "b" })
    await elsewhere(dir.file(), { key: "a" })
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([between!, newer!])
    expect(supersedes(store, 1)).toContain(a!)
    expect(supersedes(store, 1)).toHaveLength(2)
  })

  test("an op that was frozen there is not replaced here", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    await elsewhere(dir.file(), { freeze: true })
    const [newer] = store.record({ key: "a" })
    expect(store.pendingIds()).toEqual([a!, newer!])
  })

  test("an op on which one depends there is not replaced here", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [a] = store.record({ key: "a" })
    await elsewhere(dir.file(), { depends_on: [a] })
    const [newer] = store.record({ key: "a" })
    expect([store.pending(), store.pendingIds()[0], store.pendingIds()[2]]).toEqual([3, a!, newer!])
  })
})
