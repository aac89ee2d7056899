/**
 * Every trap that was found before this was built, and where it is held.
 *
 * Of storing and sending
 *  1 a duplicate must return its outcome ............ at the server: test/service/decide.test.ts
 *  2 p-retry gives up on Bun's network errors ....... not the store: flusher and wire
 *  3 capnweb's HTTP client hides status ............. not the store: wire
 *  4 async body in a transaction, deferred begin .... fault.test.ts, "a transaction"
 *  5 busy_timeout before journal_mode=WAL ........... migrate.test.ts, "6 processes"
 *  6 NORMAL loses acknowledged ops on power loss .... test/durability
 *  7 a lock is waited for on the thread ............. host.test.ts and open.test.ts, "busy"; the bound: below
 *  8 a COMMIT that throws is indeterminate .......... fault.test.ts, "a COMMIT that throws"
 *  9 after FULL statements run in autocommit ........ fault.test.ts, "a full disk"
 * 10 the WAL wedges a full disk ..................... full-disk.test.ts; fault.test.ts, "checkpoints": its size is bounded
 * 11 files are world-readable by default ............ open.test.ts, "a new outbox"
 * 12 rm, restore, replaced, stump, emptied .......... fault.test.ts, "taken away"; open.test.ts, "is refused". An empty
 *                                                     file without a -wal is a new outbox: nothing in it tells otherwise
 * 13 a copy needs an identity of its own ............ at the server's register (twin), and below: writer_id
 * 14 two requests in flight reorder ................. not the store: flusher
 * 15 no dead letter while the outcome is unknown .... settle.test.ts: only an Ack's list makes one; below
 * 16 macOS has Apple's SQLite ....................... not on this machine; the pragmas: below
 *
 * Of syncing for many at once
 *  synchronous=OFF .................................. durable.test.ts (own connection); another process's: not visible
 *  a sync covers what was recorded before it began .. durable.test.ts, power-loss
 *  a sync error is reported once .................... durable.test.ts, "EIO"
 *  the -wal replaced under us ....................... durable.test.ts, "replaced"
 *  closing any descriptor of the main file drops locks: below, by /proc/locks
 *  the -wal must be there before it is opened ....... below
 *  the directory entry of a new -wal ................ power-loss: names that were not synced may vanish
 *  checkpoint and restart between record and sync ... power-loss: idle and capped checkpoints
 *  PASSIVE does not bound the WAL under load ........ fault.test.ts, "at the hard cap"
 *  fallback where fdatasync is not enough ........... durable.test.ts, "elsewhere"
 *  real drives, kernels after EIO, macOS, Windows ... not here: a model cannot show them
 */
import type { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { readFileSync, statSync } from "node:fs"
import * as limit from "../../src/intent/limit.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore, ref } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const pragma = (db: Database, name: string) =>
  Object.values(db.query<Record<string, unknown>, []>(`pragma ${name}`).get()!)[0]

describe("trap 5 and 16: the pragmas of an own file", () => {
  test("are set as the store rests on them", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const names = ["journal_mode", "synchronous", "wal_autocheckpoint", "auto_vacuum", "busy_timeout"]
    expect([...names, "checkpoint_fullfsync"].map((name) => pragma(store.db, name))).toEqual([
      "wal",
      1,
      0,
      2,
      // Waiting is ours.
      0,
      1,
    ])
  })
})

describe("trap 7: a lock held by another process", () => {
  test("is waited for no longer than record_busy_ms_max in all, and then record says busy", async () => {
    await using dir = tempDir()
    // Each look at the clock lets a fifth of the bound pass.
    let looks = 0
    const clock = new (class extends ManualClock {
      override monotonic(): number {
        looks++
        this.turn(limit.record_busy_ms_max / 5)
        return super.monotonic()
      }
    })()
    using store = openStore(dir.file(), { clock })
    store.db.run("pragma busy_timeout = 0")
    using other = new ScopedDatabase(dir.file())
    other.run("begin immediate")
    looks = 0
    expect(errorOf(() => store.record({}))).toMatchObject({ code: "busy", retriable: true, indeterminate: false })
    expect(looks).toBeLessThanOrEqual(6)
    other.run("rollback")
    store.record({})
    expect(store.pending()).toBe(1)
  })
})

describe("trap 13: identity", () => {
  test("each stream of each outbox has a writer_id of its own, of 128 random bits", async () => {
    await using dir = tempDir()
    const writers = new Set<string>()
    for (const name of ["a.db", "b.db"]) {
      using store = openStore(dir.file(name))
      store.streams.open("other", { ...ref, share_id: "share_of_the_test_1" })
      for (const stream of store.streams.all()) writers.add(stream.writer_id)
    }
    expect([writers.size, [...writers].every((id) => /^[\w-]{22}$/.test(id))]).toEqual([4, true])
  })

  test("a seq is never used twice, also after everything was settled, pruned and reopened", async () => {
    await using dir = tempDir()
    let store = openStore(dir.file())
    const [first] = store.unit([{}])
    store.settle()
    store.db.run("delete from sturdy_op")
    store.close()
    store = openStore(dir.file(), { clock: store.clock })
    const [second] = store.unit([{}])
    expect(second!.seq).toBe(first!.seq! + 1)
    store.close()
  })
})

describe("trap 15: an op whose outcome is unknown", () => {
  test("stays pending through failed attempts, blocks and restarts, and no dead letter is made", async () => {
    await using dir = tempDir()
    let store = openStore(dir.file())
    const [op] = store.record({})
    const batches = store.freeze()
    store.settle({}, { patch: { attempts: 9, block: "revoked", last_error: "timeout" } }, [])
    store.close()
    store = openStore(dir.file(), { clock: store.clock })
    expect([store.state(op!)[0]!.state, store.pending(), store.count("sturdy_dead_letter")]).toEqual([
      "in_flight",
      1,
      0,
    ])
    expect(batches).toHaveLength(1)
    store.close()
  })
})

describe.if(process.platform === "linux")("group-sync.md", () => {
  test("the -wal is there as soon as the outbox is open, and stays the same file through every checkpoint", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    const inode = () => statSync(dir.file("outbox.db-wal")).ino
    const before = inode()
    box.notes.record({ method: "put", args: [1] })
    box.clock.turn(limit.checkpoint_idle_ms)
    box.notes.record({ method: "put", args: [2] })
    await box.outbox.durable()
    expect(inode()).toBe(before)
  })

  test("nothing that the store does drops the lock that keeps others from deleting the -wal", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    const { ino } = statSync(dir.file())
    const held = () =>
      readFileSync("/proc/locks", "utf8")
        .split("\n")
        .some((line) => line.includes(` ${process.pid} `) && line.includes(`:${ino} `))
    const seen = [held()]
    box.notes.record({ method: "put", args: [1] })
    await box.outbox.durable()
    seen.push(held())
    box.clock.turn(limit.checkpoint_idle_ms)
    seen.push(held())
    errorOf(() => openQuietOutbox(dir.file()))
    box.notes.status()
    seen.push(held())
    expect(seen).toEqual([true, true, true, true])
  })

  test("another process that opens and closes the file leaves the -wal in place", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    box.notes.record({ method: "put", args: [1] })
    const fixture = `${import.meta.dir}/record-fixture.ts`
    const child = Bun.spawn([process.execPath, fixture, dir.file(), "[{}]"], { stderr: "inherit" })
    expect(await child.exited).toBe(0)
    box.notes.record({ method: "put", args: [2] })
    await box.outbox.durable()
    expect(box.notes.status().pending).toBe(3)
  })

  test("closing leaves one file, with everything in it", async () => {
    await using dir = tempDir()
    const box = openQuietOutbox(dir.file())
    box.notes.record({ method: "put", args: [1] })
    await box.outbox.close({ flush_ms: 0 })
    expect(["-wal", "-shm"].map((suffix) => statSync(`${dir.file()}${suffix}`, { throwIfNoEntry: false }))).toEqual([
      undefined,
      undefined,
    ])
  })
})
