/**
 * A damaged outbox whose first page, or the schema behind it, cannot be read: a new first page lets SQLite find the tables
 * again. Where they begin is known: with auto_vacuum the root pages lie at the beginning of the file, in the order in
 * which the migrations make the tables. For a copy that is only read: indexes and the view are left out.
 * Format: https://www.sqlite.org/fileformat2.html
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs"
import { isDamage } from "./fault.ts"
import { Handle } from "./handle.ts"
import { applyMigration } from "./migrate.ts"
import { migrations } from "./migration.gen.ts"
import { application_id, bytesOf, sqlite_magic } from "./place.ts"

const page_bytes = 4096
const header_bytes = 100

interface Table {
  name: string
  rootpage: number
  sql: string
}

/** Changes the file, which is a copy that nobody else has; its -wal is copied back first, as far as it is whole. */
export function rebuildFirstPage(copy: string): void {
  if (bytesOf(`${copy}-wal`) > 0) {
    write(copy, { wal: true })
    copyBack(copy)
  }
  for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(copy + suffix, { force: true })
  write(copy, { wal: false })
}

/** Do root pages lie where those of an outbox do? Asked before a file that may be anything is copied. */
export function hasRoots(file: string): boolean {
  const roots = tables().map((table) => table.rootpage)
  if (bytesOf(file) < Math.max(...roots) * page_bytes) return false
  const fd = openSync(file, "r")
  try {
    const kind = Buffer.alloc(1)
    const found = roots.filter((root) => {
      readSync(fd, kind, 0, 1, (root - 1) * page_bytes)
      return kind[0] === 0x05 || kind[0] === 0x0d
    })
    return found.length > roots.length / 2
  } finally {
    closeSync(fd)
  }
}

/** SQLite does so at the last close, whatever it makes of the schema. */
function copyBack(copy: string): void {
  const db = new Handle(copy, { readwrite: true, create: false })
  try {
    db.prepare("select count(*) from sqlite_schema").get()
  } catch (error) {
    if (!isDamage(error)) throw error
  } finally {
    db.close()
  }
}

function write(copy: string, form: { wal: boolean }): void {
  const page = firstPage(tables(), Math.ceil(bytesOf(copy) / page_bytes), form)
  const fd = openSync(copy, "r+")
  writeSync(fd, page, 0, page_bytes, 0)
  closeSync(fd)
}

/** As the migrations make them, without what only writers need. */
function tables(): Table[] {
  const db = new Handle(":memory:")
  try {
    db.run("pragma auto_vacuum = incremental")
    for (const migration of migrations) applyMigration(db, migration)
    const found = db
      .prepare("select name, rootpage from sqlite_schema where type = 'table' and name like 'sturdy_%'")
      .all() as Omit<Table, "sql">[]
    return found.map(({ name, rootpage }) => ({ name, rootpage, sql: plainSql(db, name) }))
  } finally {
    db.close()
  }
}

function plainSql(db: Handle, name: string): string {
  const columns = db.prepare("select name, pk from pragma_table_info(?)").all(name) as { name: string; pk: number }[]
  const hasRowid = columns.filter((column) => column.pk > 0).length === 1 && name !== "sturdy_bookmark"
  // The column that is the rowid is not stored beside it.
  const texts = columns.map((column) => `"${column.name}"${column.pk && hasRowid ? " integer primary key" : ""}`)
  return `create table ${name}(${texts.join(",")})`
}

function firstPage(all: readonly Table[], pages: number, { wal }: { wal: boolean }): Buffer {
  const page = Buffer.alloc(page_bytes)
  page.write(sqlite_magic, 0, "latin1")
  page.writeUInt16BE(page_bytes, 16)
  page.fill(wal ? 2 : 1, 18, 20)
  page.set([0, 64, 32, 32], 20)
  // Change counter and the version that the page count is valid for: equal, so that it is believed.
  page.writeUInt32BE(1, 24)
  page.writeUInt32BE(pages, 28)
  page.writeUInt32BE(1, 40)
  page.writeUInt32BE(4, 44)
  page.writeUInt32BE(Math.max(...all.map((table) => table.rootpage)), 52)
  page.writeUInt32BE(1, 56)
  page.writeUInt32BE(1, 64)
  page.writeUInt32BE(application_id, 68)
  page.writeUInt32BE(1, 92)
  writeLeaf(page, all.map(cellOf))
  return page
}

/** The b-tree leaf of sqlite_schema, behind the header of the file. */
function writeLeaf(page: Buffer, cells: readonly Buffer[]): void {
  let at = page_bytes
  for (const [index, cell] of cells.entries()) {
    at -= cell.length
    cell.copy(page, at)
    page.writeUInt16BE(at, header_bytes + 8 + 2 * index)
  }
  page.writeUInt8(0x0d, header_bytes)
  page.writeUInt16BE(cells.length, header_bytes + 3)
  page.writeUInt16BE(at, header_bytes + 5)
}

/** A row of sqlite_schema: type, name, tbl_name, rootpage, sql. */
function cellOf({ name, rootpage, sql }: Table, index: number): Buffer {
  const texts = ["table", name, name].map((text) => Buffer.from(text))
  const sqlText = Buffer.from(sql)
  const textType = (text: Buffer) => varint(13 + 2 * text.length)
  const types = Buffer.concat([...texts.map(textType), varint(1), textType(sqlText)])
  const record = Buffer.concat([varint(types.length + 1), types, ...texts, Buffer.from([rootpage]), sqlText])
  return Buffer.concat([varint(record.length), varint(index + 1), record])
}

/** Below 16,384. */
function varint(value: number): Buffer {
  return Buffer.from(value < 128 ? [value] : [0x80 | (value >> 7), value & 0x7f])
}
