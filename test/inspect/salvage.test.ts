/** What can still be read of a damaged outbox, and that the numbers say it. */
import { readFileSync, statSync, truncateSync } from "node:fs"
import { describe, expect, test } from "bun:test"
import type { Database } from "bun:sqlite"
import { salvage, type Salvage } from "../../src/inspect/damage/salvage.ts"
import { RowsAround } from "../../src/inspect/damage/around-damage.ts"
import { hasRoots } from "../../src/store/first-page.ts"
import { errorOf } from "../sturdy-error.ts"
import { many } from "../many.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { closedOutbox, flip, hashes, killedOutbox, leafOf, overwrite, page_bytes, ruin } from "../store/damage.ts"

async function salvaged(damage: (file: string) => void, make = (file: string) => void closedOutbox(file, many(2_000))) {
  await using dir = tempDir()
  make(dir.file())
  damage(dir.file())
  const before = hashes(dir)
  const found = salvage(dir.file())
  expect(hashes(dir)).toEqual(before)
  return { ...found, notes: found.streams[0]! }
}

const gapsOf = (found: Salvage) => found.tables.filter((table) => table.gaps > 0).map((table) => table.table)

describe("of an outbox", () => {
  test("that is whole everything is readable", async () => {
    const { whole, streams } = await salvaged(() => {})
    expect(whole).toBeTrue()
    expect(streams).toEqual([
      {
        stream_id: 1,
        stream: "notes",
        readable: 2_000,
        checksum_wrong: 0,
        expected: 2_000,
        expected_is_minimum: false,
      },
    ])
  })

  test("with a page of ops overwritten all ops on other pages are", async () => {
    const found = await salvaged((file) => ruin(file, leafOf(file, "sturdy_op")))
    expect(found.whole).toBeFalse()
    expect(found.notes.expected).toBe(2_000)
    expect(found.notes.readable).toBeWithin(2_000 - 20, 2_000)
    expect(gapsOf(found)).toEqual(["sturdy_op"])
  })

  test("with several pages overwritten those between them are", async () => {
    let lost = 0
    const found = await salvaged((file) => {
      const first = leafOf(file, "sturdy_op")
      for (const page of [first, first + 2, first + 4]) {
        lost += 1
        ruin(file, page)
      }
    })
    expect(found.tables.find((table) => table.table === "sturdy_op")!.gaps).toBe(lost)
    expect(found.notes.readable).toBeWithin(2_000 - 20 * lost, 2_000 - lost)
  })

  test("with the page of its streams overwritten the ops are, of a stream without a name", async () => {
    const { notes } = await salvaged((file) => ruin(file, leafOf(file, "sturdy_stream")))
    expect(notes).toMatchObject({ stream: null, readable: 2_000, expected: null })
  })

  test("with the root of its ops overwritten none is, and that ends soon", async () => {
    const found = await salvaged((file) => ruin(file, rootOf(file, "sturdy_op")))
    expect(found.notes).toMatchObject({ readable: 0, expected_is_minimum: true })
  })

  for (const [what, damage] of [
    ["first page overwritten", (file: string) => ruin(file, 1)],
    ["header overwritten", (file: string) => overwrite(file, 0, new Uint8Array(100).fill(0x11))],
  ] as const)
    test(`with its ${what} everything is, from a copy with a new one`, async () => {
      const found = await salvaged(damage)
      expect(found).toMatchObject({ whole: false, schema_damaged: true })
      expect(found.notes).toMatchObject({ stream: "notes", readable: 2_000, expected: 2_000 })
    })

  test("cut in half the ops before the cut are", async () => {
    const found = await salvaged((file) => truncateSync(file, Math.floor(statSync(file).size / 2) + 1000))
    expect(found.schema_damaged).toBeTrue()
    expect(found.notes.readable).toBeGreaterThan(500)
    expect(found.notes.expected_is_minimum).toBeTrue()
    expect(found.notes.expected).toBeGreaterThanOrEqual(found.notes.readable)
  })

  test("with one bit of a payload flipped all others are, and that one is counted", async () => {
    const { whole, notes } = await salvaged((file) => {
      const page = (leafOf(file, "sturdy_op") - 1) * page_bytes
      flip(file, readFileSync(file).indexOf("y".repeat(300), page) + 100)
    })
    expect(whole).toBeFalse()
    expect(notes).toMatchObject({ readable: 1_999, checksum_wrong: 1, expected: 2_000 })
  })
})

describe("of an outbox whose process was killed,", () => {
  const killed = (file: string) => void killedOutbox(file, { before: many(5), after: many(400) })

  test("what is in the -wal is readable", async () => {
    const { whole, notes } = await salvaged(() => {}, killed)
    expect([whole, notes.readable]).toEqual([true, 405])
  })

  test("with a frame of the -wal damaged, what stands before it is", async () => {
    const { whole, wal, notes } = await salvaged(
      (file) => flip(`${file}-wal`, statSync(`${file}-wal`).size >> 1),
      killed,
    )
    expect([whole, wal?.of]).toEqual([false, "frame"])
    expect(notes.readable).toBeWithin(100, 400)
  })

  test("with the header of the -wal damaged, what is in the main file is", async () => {
    const { wal, notes } = await salvaged((file) => flip(`${file}-wal`, 1), killed)
    expect([wal?.of, notes.readable]).toEqual(["header", 5])
  })

  test("with the main file cut, what is in the -wal is", async () => {
    const found = await salvaged((file) => truncateSync(file, 10 * page_bytes), killed)
    expect(found.schema_damaged).toBeTrue()
    expect(found.notes.readable).toBe(405)
  })
})

test("a damaged database of somebody else's is not taken for an outbox", async () => {
  await using dir = tempDir()
  {
    using db = new ScopedDatabase(dir.file())
    for (let n = 0; n < 30; n++) db.run(`create table t${n} (id integer primary key, a text)`)
    db.run("insert into t0 values (1, 'x')")
  }
  ruin(dir.file(), 1)
  expect(hasRoots(dir.file())).toBeTrue()
  expect(errorOf(() => salvage(dir.file())).code).toBe("database_not_sqlite")
})

test("a page of zeros, in which every row is row 0, ends the look at it", async () => {
  await using dir = tempDir()
  closedOutbox(dir.file(), many(500))
  const leaf = leafOf(dir.file(), "sturdy_op")
  // The pointers to the cells stay, the cells are gone: a page that was cut.
  overwrite(dir.file(), (leaf - 1) * page_bytes + 200, new Uint8Array(page_bytes - 200))
  using db = new ScopedDatabase(dir.file(), { readonly: true })
  const rows = new RowsAround<{ seq: number }>(db as Database, { table: "sturdy_op" })
  const seen: number[] = []
  for (let at: number | undefined = 0; at !== undefined;) {
    const part = rows.read(at, Number.MAX_SAFE_INTEGER, { rows: 50, bytes: 1e6 })
    seen.push(...part.rows.map((row) => row.seq))
    at = part.next
  }
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.length).toBeWithin(460, 500)
})

function rootOf(file: string, table: string): number {
  using db = new ScopedDatabase(file, { readonly: true })
  return (db.query("select rootpage from sqlite_schema where name = ?").get(table) as { rootpage: number }).rootpage
}
