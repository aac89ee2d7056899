import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore, ref } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

/** A host with its own table, and the outbox in the same database. */
async function hostBox() {
  const dir = tempDir()
  const db = new Database(dir.file("host.db"))
  db.run("pragma journal_mode = wal")
  db.run("pragma synchronous = normal")
  db.run("create table diary (entry text)")
  const box = openQuietOutbox(db)
  return {
    ...box,
    db,
    write: (entry: string) => db.run("insert into diary values (?)", [entry]),
    entries: () => db.query<{ n: number }, []>("select count(*) as n from diary").get()!.n,
    put: (key?: string, value: unknown = 1) =>
      box.outbox.opId(box.notes.record({ method: "put", args: [value], ...(key && { key }) })),
    pendingIds: () =>
      db
        .query<{ op_id: string }, []>("select op_id from op_state where state = 'pending'")
        .all()
        .map((row) => row.op_id),
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]()
      db.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

describe("in the host's database", () => {
  test("the host's write and the op commit together", async () => {
    await using host = await hostBox()
    host.db.transaction(() => {
      host.write("one")
      host.put()
    })()
    expect([host.entries(), host.pendingIds().length, host.notes.status().pending]).toEqual([1, 1, 1])
  })

  test("the host's write and the op roll back together", async () => {
    await using host = await hostBox()
    const failing = host.db.transaction(() => {
      host.write("one")
      host.put()
      throw new Error("the host changed its mind")
    })
    expect(failing).toThrow("changed its mind")
    expect([host.entries(), host.pendingIds(), host.notes.status().pending]).toEqual([0, [], 0])
  })

  test("an op that is refused undoes only itself: the host may go on and commit", async () => {
    await using host = await hostBox()
    host.db.transaction(() => {
      host.write("one")
      host.put()
      expect(errorOf(() => host.put(undefined, "x".repeat(5_000_000))).code).toBe("op_too_large")
      host.write("two")
    })()
    expect([host.entries(), host.pendingIds().length]).toEqual([2, 1])
  })

  test("an op replaced in a transaction that rolled back is there again", async () => {
    await using host = await hostBox()
    const a = host.put("a")
    host.db.run("begin")
    host.put("a")
    host.db.run("rollback")
    expect(host.pendingIds()).toEqual([a])
  })

  test("after a rollback the next op of the key replaces what is there, and nothing else", async () => {
    await using host = await hostBox()
    host.db.run("begin")
    host.put("a")
    host.put("a")
    host.put("b")
    host.db.run("rollback")
    // Takes the place that the op of key a had in the transaction that is gone.
    const kept = host.put()
    const also = host.put()
    const newer = host.put("a")
    expect([host.pendingIds(), host.notes.status().pending]).toEqual([[kept, also, newer], 3])
  })

  test("coalescing goes on inside one transaction", async () => {
    await using host = await hostBox()
    const newest = host.db.transaction(() => {
      host.put("a")
      return host.put("a")
    })()
    expect(host.pendingIds()).toEqual([newest])
  })

  test("a captureId of a transaction that rolled back is not remembered", async () => {
    await using host = await hostBox()
    const capture = () => host.notes.record({ method: "put", args: [1], captureId: "event_1" })
    host.db.run("begin")
    capture()
    host.db.run("rollback")
    capture()
    expect(host.notes.status().pending).toBe(1)
  })

  test("nothing is frozen, settled or leased while the host's transaction is open", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    const store = openStore(db)
    const term = store.term()
    db.run("begin")
    store.record({})
    const window = { batches_max: 8, bytes_max: 1e6 }
    expect(errorOf(() => store.freezer.freeze(term, store.stream_id, () => window))).toMatchObject({
      code: "busy",
      retriable: true,
    })
    const settlement = { acked: [], patch: {}, posts: 1 }
    expect(errorOf(() => store.settler.settle(term, store.stream_id, settlement)).code).toBe("busy")
    store.clock.turn(60_000)
    expect(errorOf(() => store.lease.acquire()).code).toBe("busy")
    db.run("rollback")
    expect([store.freeze(), store.count("sturdy_batch")]).toEqual([[], 0])
  })

  test("a stream that would be created in the host's transaction is refused: a rollback would leave a handle of nothing", async () => {
    await using host = await hostBox()
    const [alice, bob] = [host.outbox.newRef(ref.service), host.outbox.newRef(ref.service)]
    const create = { create: { session_id: "ses_1" } }
    host.db.run("begin")
    expect(errorOf(() => host.outbox.stream("alice", alice)).code).toBe("busy")
    expect(errorOf(() => host.outbox.stream("alice", alice, create))).toMatchObject({ code: "busy", retriable: true })
    expect(errorOf(() => host.outbox.stub(alice)).code).toBe("busy")
    host.db.run("rollback")
    host.outbox.stream("bob", bob, create).record({ method: "put", args: ["bob's"] })
    const opened = host.outbox.stream("alice", alice, create)
    expect([opened.status().pending, opened.status().share_id]).toEqual([0, alice.share_id])
  })

  test("a stream that exists is opened in the host's transaction", async () => {
    await using host = await hostBox()
    host.db.run("begin")
    host.outbox.stream("notes", ref).record({ method: "put", args: [1] })
    expect(host.outbox.stream("notes").status().pending).toBe(1)
    host.db.run("commit")
    expect(host.pendingIds()).toHaveLength(1)
  })

  test("durable() while the host's transaction is open is refused: the op is not committed", async () => {
    await using host = await hostBox()
    host.db.run("begin")
    host.put()
    expect((await rejectionOf(host.outbox.durable())).code).toBe("busy")
    host.db.run("commit")
    await host.outbox.durable()
  })

  test("the host's pragmas and its mark stay as they are", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("pragma application_id = 77")
    db.run("pragma user_version = 5")
    const pragmas = ["journal_mode", "synchronous", "busy_timeout", "application_id", "user_version", "auto_vacuum"]
    const read = () => pragmas.map((name) => db.query(`pragma ${name}`).get())
    const before = read()
    {
      await using box = openQuietOutbox(db)
      box.notes.record({ method: "m", args: [] })
      await box.outbox.durable()
    }
    expect(read()).toEqual(before)
  })

  test("the mark of a host stays when its database is opened as a file", async () => {
    await using dir = tempDir()
    {
      using db = new ScopedDatabase(dir.file())
      db.run("pragma application_id = 77")
      openStore(db).close()
    }
    using store = openStore(dir.file())
    expect(store.db.query("pragma application_id").get()).toEqual({ application_id: 77 })
  })

  test("closing leaves the host's handle open", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    {
      await using _box = openQuietOutbox(db)
    }
    expect(db.query("select 1 as one").get()).toEqual({ one: 1 })
  })

  test("a lock of another connection ends in busy within the limit, having written nothing", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("pragma journal_mode = wal")
    const clock = new (class extends ManualClock {
      // The lock is waited for by this clock: each look lets some time pass.
      override monotonic(): number {
        this.turn(50)
        return super.monotonic()
      }
    })()
    const store = openStore(db, { clock })
    using other = new ScopedDatabase(dir.file())
    other.run("begin immediate")
    expect(errorOf(() => store.record({}))).toMatchObject({ code: "busy", retriable: true, indeterminate: false })
    other.run("rollback")
    store.record({})
    expect(store.pending()).toBe(1)
  })
})
