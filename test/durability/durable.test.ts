import { describe, expect, test } from "bun:test"
import { copyFileSync, fdatasync, renameSync, rmSync } from "node:fs"
import { chooseDurability } from "../../src/store/durability.ts"
import { GroupSync, type Sync } from "../../src/store/group-sync.ts"
import { migrations } from "../../src/store/migration.gen.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { openQuietOutbox, openStore } from "../store/box.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"

/** Group sync on a real file, with a sync that is let go by hand. */
async function heldBox() {
  const dir = tempDir()
  const store = openStore(dir.file())
  const calls: { finish: (error?: Error) => void }[] = []
  const sync: Sync = (fd, done) => {
    let held = true
    const finish = (error?: Error) => {
      if (held && error) done(error)
      else if (held) fdatasync(fd, (error) => done(error))
      held = false
    }
    calls.push({ finish })
  }
  const group = new GroupSync(store.connection, dir.file(), sync)
  return {
    dir,
    store,
    group,
    calls,
    record() {
      store.record({})
      group.mark()
    },
    /** The sync that begins next, within a second or so. */
    async next(index: number) {
      for (let turns = 0; turns < 200_000 && !calls[index]; turns++)
        await new Promise((resolve) => setImmediate(resolve))
      if (!calls[index]) throw new Error(`no sync ${index} begins`)
      return calls[index]
    },
    async [Symbol.asyncDispose]() {
      // Of a test that failed, one may still be held.
      for (const { finish } of calls) finish()
      await group.close()
      store.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const io = () => Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" })

describe.if(process.platform === "linux")("durable() on an own file", () => {
  test("resolves after a sync that began after the op was recorded", async () => {
    await using box = await heldBox()
    box.record()
    let resolved = false
    const durable = box.group.durable().then(() => (resolved = true))
    const sync = await box.next(0)
    expect(resolved).toBe(false)
    sync.finish()
    await durable
    expect(box.group.syncs).toBe(1)
  })

  test("does not count a sync that was running already when the op was recorded", async () => {
    await using box = await heldBox()
    box.record()
    const first = box.group.durable()
    const running = await box.next(0)
    box.record()
    let resolved = false
    const second = box.group.durable().then(() => (resolved = true))
    running.finish()
    await first
    const next = await box.next(1)
    expect(resolved).toBe(false)
    next.finish()
    await second
    expect(box.group.syncs).toBe(2)
  })

  test("does not take an op that was recorded during a sync for durable afterwards", async () => {
    await using box = await heldBox()
    box.record()
    const first = box.group.durable()
    const running = await box.next(0)
    box.record()
    running.finish()
    await first
    const second = box.group.durable()
    const next = await box.next(1)
    next.finish()
    await second
    expect(box.group.syncs).toBe(2)
  })

  test("lets a hundred callers of one turn share one sync", async () => {
    await using box = await heldBox()
    const waiting = Array.from({ length: 100 }, () => {
      box.record()
      return box.group.durable()
    })
    const sync = await box.next(0)
    sync.finish()
    await Promise.all(waiting)
    expect([box.group.syncs, box.calls.length]).toEqual([1, 1])
  })

  test("resolves at once, without a sync, when all is durable already", async () => {
    await using box = await heldBox()
    box.record()
    const durable = box.group.durable()
    const sync = await box.next(0)
    sync.finish()
    await durable
    await box.group.durable()
    expect(box.group.syncs).toBe(1)
  })

  test("syncs at first, though nothing was recorded: an earlier process may have been killed before its sync", async () => {
    await using box = await heldBox()
    const durable = box.group.durable()
    const sync = await box.next(0)
    sync.finish()
    await durable
    expect(box.group.syncs).toBe(1)
  })

  test("rejects all as indeterminate after EIO, and never syncs again", async () => {
    await using box = await heldBox()
    box.record()
    const first = rejectionOf(box.group.durable())
    const running = await box.next(0)
    box.record()
    const second = rejectionOf(box.group.durable())
    running.finish(io())
    const third = rejectionOf(box.group.durable())
    await new Promise((resolve) => setImmediate(resolve))
    expect([box.group.syncs, box.calls.length]).toEqual([1, 1])
    const errors = [await first, await second, await third]
    expect(errors.map(({ code, indeterminate, retriable }) => ({ code, indeterminate, retriable }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: "sync_failed" as const, indeterminate: true, retriable: false })),
    )
  })

  test("goes on recording after EIO: what is recorded survives the death of the process", async () => {
    await using box = await heldBox()
    box.record()
    const durable = box.group.durable()
    const sync = await box.next(0)
    sync.finish(io())
    await rejectionOf(durable)
    box.record()
    expect(box.store.pending()).toBe(2)
  })

  test("rejects when the -wal was replaced", async () => {
    await using box = await heldBox()
    box.record()
    const durable = box.group.durable()
    const sync = await box.next(0)
    const wal = box.dir.file("outbox.db-wal")
    copyFileSync(wal, `${wal}.new`)
    renameSync(`${wal}.new`, wal)
    sync.finish()
    const error = await rejectionOf(durable)
    expect([error.code, error.indeterminate, error.message.includes("replaced")]).toEqual(["sync_failed", true, true])
  })

  for (const [what, take] of Object.entries({
    deleted: (file: string) => rmSync(file),
    replaced: (file: string) => {
      copyFileSync(file, `${file}.new`)
      renameSync(`${file}.new`, file)
    },
    "deleted with its -wal": (file: string) => ["", "-wal", "-shm"].forEach((suffix) => rmSync(file + suffix)),
  }))
    test(`says database_moved when the file was ${what}, also if all was durable before`, async () => {
      await using box = await heldBox()
      box.record()
      const durable = box.group.durable()
      const sync = await box.next(0)
      take(box.dir.file("outbox.db"))
      sync.finish()
      const moved = { code: "database_moved", indeterminate: true }
      expect(await rejectionOf(durable)).toMatchObject(moved)
      const again = box.group.durable()
      const second = await box.next(1)
      second.finish()
      expect(await rejectionOf(again)).toMatchObject(moved)
    })

  test("after the file was put back it syncs again and resolves", async () => {
    await using box = await heldBox()
    box.record()
    const file = box.dir.file("outbox.db")
    const first = box.group.durable()
    ;(await box.next(0)).finish()
    await first
    renameSync(file, `${file}.away`)
    expect((await rejectionOf(box.group.durable())).code).toBe("database_moved")
    renameSync(`${file}.away`, file)
    await box.group.durable()
    box.record()
    const durable = box.group.durable()
    ;(await box.next(1)).finish()
    await durable
  })

  test("keeps its descriptor until the sync that is running is back: another file could get its number", async () => {
    await using box = await heldBox()
    box.record()
    const durable = box.group.durable()
    const sync = await box.next(0)
    let closed = false
    const closing = box.group.close().then(() => (closed = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect([closed, box.group.walBytes() > 0]).toEqual([false, true])
    sync.finish()
    await Promise.all([durable, closing])
  })

  test("refuses a connection with synchronous=OFF", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.db.run("pragma synchronous = off")
    expect(errorOf(() => new GroupSync(store.connection, dir.file())).code).toBe("database_unsafe")
  })

  test("covers a stream that was just opened, with a sync of its own", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    /** A sync begins in a later turn: what settles within this one made none. */
    const synced = async () => {
      let settled = false
      const durable = box.outbox.durable().then(() => (settled = true))
      for (let n = 0; n < 20; n++) await Promise.resolve()
      const atOnce = settled
      await durable
      return !atOnce
    }
    expect([await synced(), await synced()]).toEqual([true, false])
    const fresh = box.outbox.newRef("http://127.0.0.1:9/rpc/share")
    box.outbox.stream("new", fresh, { create: { session_id: "ses_1" } })
    expect([await synced(), await synced()]).toEqual([true, false])
    box.outbox.stream("new", fresh)
    box.notes.record({ method: "put", args: [1] })
    expect([await synced(), await synced()]).toEqual([true, false])
  })

  test("is answered before the outbox closes", async () => {
    await using dir = tempDir()
    const box = openQuietOutbox(dir.file())
    box.notes.record({ method: "put", args: [1] })
    const durable = box.outbox.durable()
    await box.outbox.close({ flush_ms: 0 })
    await durable
  })
})

describe("durable() elsewhere, by one commit at FULL", () => {
  for (const platform of ["darwin", "win32"])
    test(`is chosen on ${platform}`, async () => {
      await using dir = tempDir()
      using store = openStore(dir.file())
      const durability = chooseDurability(store.connection, platform)
      expect([durability.walBytes(), durability.constructor.name]).toEqual([undefined, "FullCommit"])
    })

  test("writes a frame: a commit that changes nothing would sync nothing", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("pragma journal_mode = wal")
    await using box = openQuietOutbox(db)
    box.notes.record({ method: "put", args: [1] })
    const frames = () => (db.query("pragma wal_checkpoint(noop)").get() as { log: number }).log
    const before = frames()
    await box.outbox.durable()
    expect(frames()).toBeGreaterThan(before)
    expect(db.query("select id, version from sturdy_meta").all()).toEqual([{ id: 1, version: migrations.length }])
  })

  test("gives the host its own synchronous back", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("pragma journal_mode = wal")
    db.run("pragma synchronous = normal")
    await using box = openQuietOutbox(db)
    box.notes.record({ method: "put", args: [1] })
    await box.outbox.durable()
    expect(db.query("pragma synchronous").get()).toEqual({ synchronous: 1 })
  })

  for (const [name, pragma] of Object.entries({
    "synchronous=OFF": "synchronous = off",
    "journal_mode=MEMORY": "journal_mode = memory",
  }))
    test(`refuses a host with ${name}: it survives no power loss`, async () => {
      await using dir = tempDir()
      using db = new ScopedDatabase(dir.file())
      db.run(`pragma ${pragma}`)
      await using box = openQuietOutbox(db)
      box.notes.record({ method: "put", args: [1] })
      expect((await rejectionOf(box.outbox.durable())).code).toBe("database_unsafe")
    })
})
