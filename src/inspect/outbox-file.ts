/** The outbox as a file: what lies on the disk, read without SQLite. */
import type { Database } from "bun:sqlite"
import { readdirSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { bytesOf, followLinks } from "../store/place.ts"

export interface OutboxFileSummary {
  file: string
  bytes: number
  wal_bytes: number
  /** What was damaged and put aside, and is kept. */
  put_aside: string[]
}

export function outboxFileSummary(path: string): OutboxFileSummary {
  const file = resolve(followLinks(path))
  return { file, bytes: bytesOf(file), wal_bytes: bytesOf(`${file}-wal`), put_aside: putAside(file) }
}

function putAside(file: string): string[] {
  const folder = dirname(file)
  const names = [`${basename(file)}.damaged-`, `${basename(file)}-wal.damaged-`]
  try {
    return readdirSync(folder)
      .filter((name) => names.some((prefix) => name.startsWith(prefix)) && !/-(wal|shm)$/.test(name))
      .toSorted()
      .map((name) => join(folder, name))
  } catch {
    // A folder that may be entered and not listed.
    return []
  }
}

export interface SchemaSummary {
  /** Of the file: the newest migration in it, and the oldest that a program must know to use it. */
  version: number
  compatible_version: number
}

export function readSchema(db: Database): SchemaSummary {
  return db.prepare("select version, compatible_version from sturdy_meta").get() as SchemaSummary
}

/** Of a host's own, if the outbox lives in the host's database; in the order in which they were made. */
export function hostTables(db: Database): string[] {
  const tables = db
    .prepare(
      `select name from sqlite_schema
       where type = 'table' and name not glob 'sturdy_*' and name not glob 'sqlite_*' order by rowid`,
    )
    .all() as { name: string }[]
  return tables.map(({ name }) => name)
}
