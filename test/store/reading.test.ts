/** Looking into an outbox that somebody keeps for himself, or whose folder does not let SQLite read beside others. */
import { chmodSync, copyFileSync } from "node:fs"
import { describe, expect, test } from "bun:test"
import { OutboxView, readingOutbox } from "../../src/store/reading.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { closedOutbox, hashes, killedOutbox } from "./damage.ts"
import { ownTemporaryFolder } from "./temporary-folder.ts"

const temporary = ownTemporaryFolder()

async function exclusive(file: string, by: string) {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/exclusive-fixture.ts`, file, by], {
    stdin: "pipe",
    stdout: "pipe",
  })
  const { value } = await child.stdout.getReader().read()
  expect(new TextDecoder().decode(value)).toBe("locked\n")
  return {
    async [Symbol.asyncDispose]() {
      void child.stdin.end()
      await child.exited
    },
  }
}

const leftovers = temporary.copies

const attempts = (file: string) =>
  readingOutbox(file, (db, reader) => ({
    ...(db.prepare("select attempts from sturdy_stream").get() as { attempts: number }),
    note: reader.note,
  }))

describe("an outbox that another process has for itself", () => {
  for (const by of ["pragma", "vfs"])
    test(`by its ${by} is read from a copy, -wal and all; nothing is left behind, and not a byte changes`, async () => {
      await using dir = tempDir()
      closedOutbox(dir.file(), [{}, {}])
      await using _ = await exclusive(dir.file(), by)
      const bytes = hashes(dir)
      expect(attempts(dir.file())).toEqual({
        attempts: 7,
        note: "locked by another process: read from a copy made just now",
      })
      expect(hashes(dir)).toEqual(bytes)
      expect(leftovers()).toEqual([])
    })

  test("and in which it writes without a pause is read from a copy all the same", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    await using _ = await exclusive(dir.file(), "busy")
    const seen = new Set<number>()
    for (let look = 0; look < 5; look++)
      readingOutbox(dir.file(), (db) => {
        const row = db.prepare("select post_count, twin_count from sturdy_stream").get()
        const { post_count, twin_count } = row as { post_count: number; twin_count: number }
        expect(twin_count).toBe(post_count)
        seen.add(post_count)
        expect(db.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" })
      })
    expect(seen.size).toBeGreaterThan(1)
    expect(leftovers()).toEqual([])
  })

  test("is told as busy to who looks again and again", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    await using _ = await exclusive(dir.file(), "pragma")
    expect(errorOf(() => readingOutbox(dir.file(), () => {}, { copies: false })).code).toBe("busy")
  })

  test("that cannot be copied either says why the copy was not made", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    await using _ = await exclusive(dir.file(), "pragma")
    process.env.TMPDIR = temporary.file("nowhere")
    const error = errorOf(() => attempts(dir.file()))
    expect(error.code).toBe("database_unopenable")
    expect(error.message).toContain("ENOENT")
  })
})

test.skipIf(process.getuid?.() === 0)("an outbox in a folder that is read-only is read from a copy", async () => {
  await using dir = tempDir()
  killedOutbox(dir.file(), { before: [{}], after: [{}, {}] })
  chmodSync(dir.path, 0o500)
  try {
    expect(attempts(dir.file())).toEqual({
      attempts: 0,
      note: expect.stringContaining("read from a copy made just now"),
    })
    expect(leftovers()).toEqual([])
  } finally {
    chmodSync(dir.path, 0o700)
  }
})

test("a file without a -wal that is opened and written while it is read is read again", async () => {
  await using dir = tempDir()
  closedOutbox(dir.file())
  const reader = new OutboxView(dir.file())
  let reads = 0
  const found = reader.read((db) => {
    reads += 1
    if (reads === 1) {
      using other = new ScopedDatabase(dir.file())
      other.run("update sturdy_stream set attempts = 3")
    }
    return db.prepare("select attempts from sturdy_stream").get()
  })
  reader.close()
  expect([found, reads]).toEqual([{ attempts: 3 }, 2])
})

/** A database in another mode than WAL, with a transaction that has written into it and was not committed. */
function unfinishedTransaction(file: string, alive: string) {
  closedOutbox(alive, [{}, {}])
  const db = new ScopedDatabase(alive)
  db.run("pragma journal_mode = delete")
  db.run("create table host (text)")
  db.run("pragma cache_size = 5")
  db.run("begin immediate")
  db.run("update sturdy_stream set attempts = 9")
  db.run("delete from sturdy_op")
  db.run("insert into host select hex(randomblob(2000)) from (values (1), (2), (3), (4)), pragma_function_list")
  for (const suffix of ["", "-journal"]) copyFileSync(alive + suffix, file + suffix)
  return db
}

describe("a transaction that changes the file itself", () => {
  test("and was cut off is read as it is rolled back, and the file is left for its own program to do so", async () => {
    await using dir = tempDir()
    unfinishedTransaction(dir.file(), dir.file("alive.db")).close()
    const bytes = hashes(dir)
    const [row, note] = readingOutbox(dir.file(), (db, reader) => [
      db.prepare("select attempts, (select count(*) from sturdy_op) as ops from sturdy_stream").get(),
      reader.note,
    ])
    expect(row).toEqual({ attempts: 0, ops: 2 })
    expect(note).toContain("read from a copy made just now")
    expect(hashes(dir)).toEqual(bytes)
    expect(leftovers()).toEqual([])
  })

  test("and goes on is read as it was before it, and is not disturbed", async () => {
    await using dir = tempDir()
    const alive = unfinishedTransaction(dir.file(), dir.file("alive.db"))
    // Else this process's own descriptors would drop the locks of its handle.
    const child = Bun.spawnSync([process.execPath, `${import.meta.dir}/look-fixture.ts`, dir.file("alive.db")])
    expect(JSON.parse(child.stdout.toString())).toEqual({ attempts: 0 })
    alive.run("commit")
    alive.close()
    expect(attempts(dir.file("alive.db"))).toEqual({ attempts: 9, note: undefined })
  })

  test("is told as busy to who looks again and again", async () => {
    await using dir = tempDir()
    unfinishedTransaction(dir.file(), dir.file("alive.db")).close()
    expect(errorOf(() => readingOutbox(dir.file(), () => {}, { copies: false })).code).toBe("busy")
  })
})
