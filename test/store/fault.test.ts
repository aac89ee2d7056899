import type { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { copyFileSync } from "node:fs"
import { Connection } from "../../src/store/connection.ts"
import { Checkpoints } from "../../src/store/checkpoint.ts"
import { chooseDurability } from "../../src/store/durability.ts"
import * as limit from "../../src/intent/limit.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore, seamsOf } from "./box.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const big = { args: ["x".repeat(100_000)] }

/** Real FULL from SQLite itself: the file may have no more pages than it has. */
function fill(db: Database): void {
  const { page_count } = db.query("pragma page_count").get() as { page_count: number }
  db.run(`pragma max_page_count = ${page_count}`)
}

describe("a full disk", () => {
  test("in the middle of a unit: disk_full, nothing of the unit is there, nothing went on in autocommit", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const kept = store.record({})
    fill(store.db)
    const error = errorOf(() => store.unit([{ capture_id: "event_1" }, big, {}], { source: "s", place: 1 }))
    expect(error).toMatchObject({ code: "disk_full", retriable: true, indeterminate: false })
    expect([store.pendingIds(), store.count("sturdy_capture"), store.count("sturdy_bookmark")]).toEqual([kept, 0, 0])
    expect(store.db.inTransaction).toBe(false)
  })

  test("the same handle goes on at once when there is space again", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    fill(store.db)
    errorOf(() => store.record(big))
    store.db.run("pragma max_page_count = 1000000")
    store.record(big)
    store.settle()
    expect([store.pending(), store.count("sturdy_op")]).toEqual([0, 1])
  })

  test("while settling: nothing of the settlement is there, and the same answer can be settled later", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const ids = store.record(...Array.from({ length: 90 }, () => ({ args: ["x".repeat(500)] })))
    const batches = store.freeze()
    fill(store.db)
    const rejected = Object.fromEntries(ids.map((op_id) => [op_id, "no_access"]))
    expect(errorOf(() => store.settle(rejected, {}, batches)).code).toBe("disk_full")
    expect([store.pending(), store.count("sturdy_dead_letter")]).toEqual([90, 0])
    store.db.run("pragma max_page_count = 1000000")
    store.settle(rejected, {}, batches)
    expect([store.pending(), store.count("sturdy_dead_letter")]).toEqual([0, 90])
  })
})

/** A process of its own in which a write beyond the limit of file sizes is an error and no signal. */
async function ignoringSignal(fixture: string, file: string) {
  const command = ["sh", "-c", `trap '' XFSZ; exec "$0" "$@"`, process.execPath, `${import.meta.dir}/${fixture}`, file]
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
  return { stdout: await new Response(child.stdout).text() }
}

const gcc = process.platform === "linux" ? Bun.which("gcc") : null
if (!gcc) console.log("skipped: a COMMIT that throws after it has written needs Linux and gcc")

describe("a COMMIT that throws", () => {
  for (const then of ["die", "repeat"] as const)
    test.if(gcc !== null)(
      `after it has written, and the process ${then === "die" ? "dies: the op is there" : "goes on: it is not"}; the same captureId again leaves one`,
      async () => {
        await using dir = tempDir()
        const library = dir.file("eio.so")
        await Bun.$`${gcc} -shared -fPIC -o ${library} ${import.meta.dir}/fsync-eio.c -ldl`.quiet()
        const child = Bun.spawn([process.execPath, `${import.meta.dir}/fsync-fixture.ts`, dir.file(), then], {
          env: { ...process.env, LD_PRELOAD: library, EIO_WHILE: dir.file("eio") },
          stdout: "pipe",
          stderr: "inherit",
        })
        const seen = JSON.parse(await new Response(child.stdout).text())
        await child.exited
        expect([seen, child.signalCode]).toEqual([
          { code: "storage_fault", indeterminate: true },
          then === "die" ? "SIGKILL" : null,
        ])
        using store = openStore(dir.file())
        // Without the repetition, of the one that died: both are there, the one whose record threw too.
        expect(store.pending()).toBe(2)
        store.record({ capture_id: "event_1" })
        expect(store.pending()).toBe(2)
      },
    )

  test("for a write error of the disk is indeterminate, and the same handle goes on when the disk does", async () => {
    await using dir = tempDir()
    const { stdout } = await ignoringSignal("commit-fixture.ts", dir.file())
    const seen = JSON.parse(stdout)
    expect(seen).toEqual({
      refused: { code: "storage_fault", indeterminate: true },
      pendingAfter: 1,
      inTransaction: false,
      again: "recorded",
      pending: 2,
    })
    using store = openStore(dir.file())
    expect(store.pending()).toBe(2)
  })

  test("for a deferred foreign key of the host is a SturdyError, indeterminate, and leaves no transaction open", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("pragma foreign_keys = on")
    db.run("create table page (id integer primary key)")
    db.run("create table line (page integer references page deferrable initially deferred)")
    const connection = new Connection(db, seamsOf(new ManualClock()), undefined)
    const error = errorOf(() => connection.transact("test", () => void db.run("insert into line values (1)")))
    expect(error).toMatchObject({ code: "storage_fault", indeterminate: true })
    expect([db.inTransaction, db.query("select count(*) as n from line").get()]).toEqual([false, { n: 0 }])
  })
})

describe("an error of the disk in the middle of a transaction that writes before its COMMIT", () => {
  test("storage_fault, known to have written nothing; the same unit again is recorded whole", async () => {
    await using dir = tempDir()
    const { stdout } = await ignoringSignal("spill-fixture.ts", dir.file())
    expect(JSON.parse(stdout)).toEqual({
      refused: { code: "storage_fault", indeterminate: false },
      point: "in the middle",
      inTransaction: false,
      left: [1, 0, 0],
      again: [91, 90, 1],
    })
    using store = openStore(dir.file())
    expect(store.pending()).toBe(91)
  })
})

describe("a transaction", () => {
  test("whose body returns a promise is refused and rolled back", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    // The type refuses it; a caller without types must be refused too.
    const body = (async () => {
      store.db.run("insert into sturdy_bookmark values ('s', 1, null, 1)")
    }) as unknown as () => undefined
    expect(() => store.connection.transact("test", body)).toThrow("must not return a promise")
    expect([store.db.inTransaction, store.count("sturdy_bookmark")]).toEqual([false, 0])
  })

  test("whose body returns a promise is refused and rolled back inside the host's transaction too", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.db.run("begin")
    const body = (async () => {
      store.db.run("insert into sturdy_bookmark values ('s', 1, null, 1)")
    }) as unknown as () => undefined
    expect(() => store.connection.transact("test", body)).toThrow("must not return a promise")
    store.db.run("commit")
    expect(store.count("sturdy_bookmark")).toBe(0)
  })

  test("takes the write lock at its beginning, so that it cannot fail with BUSY_SNAPSHOT after a read", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    using other = new ScopedDatabase(dir.file())
    const outcome = store.connection.transact("test", () => {
      store.count("sturdy_op")
      // With a deferred transaction this write would succeed, and ours after it would fail.
      expect(() => other.run("insert into sturdy_bookmark values ('other', 1, null, 1)")).toThrow("locked")
      return store.db.run("insert into sturdy_bookmark values ('ours', 1, null, 1)").changes
    })
    expect(outcome).toBe(1)
  })
})

describe.if(process.platform === "linux")("a file that is taken away while it is open:", () => {
  const ways: Record<string, (file: string) => void> = {
    deleted: (file) => rmSync(file),
    renamed: (file) => renameSync(file, `${file}.old`),
    "replaced by a copy": (file) => {
      copyFileSync(file, `${file}.new`)
      renameSync(`${file}.new`, file)
    },
    "replaced by a text": (file) => {
      writeFileSync(`${file}.new`, "dear diary")
      renameSync(`${file}.new`, file)
    },
  }
  for (const [name, take] of Object.entries(ways))
    test(`${name}: record says database_moved, indeterminate, and goes on saying so`, async () => {
      await using dir = tempDir()
      await using box = openQuietOutbox(dir.file())
      const put = () => box.notes.record({ method: "put", args: [1], captureId: "event_1" })
      put()
      take(dir.file())
      for (let i = 0; i < 2; i++)
        expect(errorOf(() => box.notes.record({ method: "put", args: [2] }))).toMatchObject({
          code: "database_moved",
          indeterminate: true,
          retriable: false,
        })
    })
})

describe("checkpoints", () => {
  const walOf = (file: string) => statSync(`${file}-wal`).size

  test("when idle copy the -wal back and empty it", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    for (let i = 0; i < 50; i++) box.notes.record({ method: "put", args: [i] })
    const before = walOf(dir.file())
    box.clock.turn(limit.checkpoint_idle_ms)
    expect([before > 100_000, walOf(dir.file())]).toEqual([true, 0])
  })

  test("wait as long as something is being recorded", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    for (let i = 0; i < 10; i++) {
      box.notes.record({ method: "put", args: [i] })
      box.clock.turn(limit.checkpoint_idle_ms - 1)
    }
    expect(walOf(dir.file())).toBeGreaterThan(0)
  })

  test("at the hard cap keep the -wal from growing on", async () => {
    await using dir = tempDir()
    await using box = openQuietOutbox(dir.file())
    const args = ["x".repeat(200_000)]
    for (let i = 0; i < 250; i++) box.notes.record({ method: "put", args })
    // A passive checkpoint leaves the file at its size and begins again at its start.
    expect(walOf(dir.file())).toBeLessThan(limit.wal_bytes_max + 2 * 1024 * 1024)
  })

  test("never throw into the host, also while another process holds the write lock", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const checkpoints = new Checkpoints(store.connection, chooseDurability(store.connection))
    store.record(...Array.from({ length: 100 }, () => ({ args: ["x".repeat(20_000)] })))
    store.db.run("delete from sturdy_op")
    using other = new ScopedDatabase(dir.file())
    other.run("begin immediate")
    checkpoints.written(1)
    store.clock.turn(limit.checkpoint_idle_ms)
    other.run("rollback")
    const free = () => store.db.query<{ freelist_count: number }, []>("pragma freelist_count").get()!.freelist_count
    expect(free()).toBeGreaterThan(400)
    checkpoints.written(1)
    store.clock.turn(limit.checkpoint_idle_ms)
    expect(free()).toBe(0)
  })
})
