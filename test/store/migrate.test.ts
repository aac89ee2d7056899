import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { migrations } from "../../src/store/migration.gen.ts"
import { openStore } from "./box.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const root = join(import.meta.dir, "../..")

function schemaOf(path: string): string {
  using db = new ScopedDatabase(path, { readonly: true })
  const rows = db
    .query<{ sql: string }, []>("select sql from sqlite_schema where sql is not null order by type, name")
    .all()
  return `${rows.map(({ sql }) => `${sql};`).join("\n\n")}\n`
}

describe("migrations", () => {
  test("on an empty file make exactly the schema of test/fixture/schema.sql", async () => {
    await using dir = tempDir()
    openStore(dir.file()).close()
    // After a new migration: STURDY_GOLDEN=1 writes the file, and its diff is what is reviewed.
    const golden = join(root, "test/fixture/schema.sql")
    if (process.env.STURDY_GOLDEN) await Bun.write(golden, schemaOf(dir.file()))
    expect(schemaOf(dir.file())).toBe(readFileSync(golden, "utf8"))
  })

  test("run a second time change no byte of the file", async () => {
    await using dir = tempDir()
    openStore(dir.file()).close()
    const before = readFileSync(dir.file())
    openStore(dir.file()).close()
    expect(Buffer.compare(readFileSync(dir.file()), before)).toBe(0)
  })

  test("are embedded: src/store/migration.gen.ts lists every folder of migration/, in order, with its text", () => {
    const folders = readdirSync(join(root, "migration")).toSorted()
    expect(migrations).toEqual(
      folders.map((name) => ({ name, sql: readFileSync(join(root, "migration", name, "migration.sql"), "utf8") })),
    )
  })

  test("only add: nothing in them drops, renames or deletes, for older processes on the same file", () => {
    for (const { sql } of migrations) expect(sql).not.toMatch(/\b(drop|rename|delete|update)\b/i)
  })

  test("leave a newer schema that this code may still use as it is, and recording goes on", async () => {
    await using dir = tempDir()
    const first = openStore(dir.file())
    first.db.run("update sturdy_meta set version = 99, compatible_version = 1")
    first.db.run("alter table sturdy_op add column of_the_future text")
    first.close()
    using store = openStore(dir.file(), { clock: first.clock })
    store.record({ args: [1] })
    expect([store.pending(), store.db.query("select version, compatible_version from sturdy_meta").get()]).toEqual([
      1,
      { version: 99, compatible_version: 1 },
    ])
  })

  test("roll back whole when one statement fails, and then go on where they were", async () => {
    await using dir = tempDir()
    using db = new ScopedDatabase(dir.file())
    db.run("create table sturdy_stream (in_the_way)")
    expect(() => openStore(db)).toThrow("sturdy_stream")
    expect(db.query("select name from sqlite_schema where name <> 'sturdy_stream'").all()).toEqual([])
    db.run("drop table sturdy_stream")
    const store = openStore(db)
    store.record({})
    expect(store.pending()).toBe(1)
  })
})

describe("6 processes", () => {
  test("open a new file at once: all succeed, and every op is recorded once", async () => {
    await using dir = tempDir()
    const children = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, `${import.meta.dir}/open-at-once-fixture.ts`, dir.file(), "20"], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      }),
    )
    // All are loaded and wait: now they begin together.
    const readers = children.map((child) => child.stdout.getReader())
    await Promise.all(readers.map((reader) => reader.read()))
    for (const child of children) child.stdin.end()
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0, 0, 0, 0])
    using store = openStore(dir.file())
    expect([store.pending(), new Set(store.pendingIds()).size, store.count("sturdy_meta")]).toEqual([120, 120, 1])
  })
})
