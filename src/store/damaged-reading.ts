/** A damaged outbox, opened for what can still be read of it. */
import { constants, type Database } from "bun:sqlite"
import { pathToFileURL } from "node:url"
import { SturdyError } from "../intent/error.ts"
import { systemClock } from "../intent/system.ts"
import { isDamage, isDamageCode } from "./fault.ts"
import { hasRoots, rebuildFirstPage } from "./first-page.ts"
import { Handle } from "./handle.ts"
import { OutboxView } from "./reading.ts"
import { fromPlainCopy } from "./plain-copy.ts"
import { isOutbox } from "./quarantine.ts"

export interface DamagedView {
  /** As `OutboxView.read`: it may run the body again. */
  read<T>(body: (db: Database) => T): T
  /** What the reader should know about what is read, for people. */
  readonly note: string | undefined
  /** The first page, or the schema, could not be read: a copy is, with a new first page. */
  readonly isRebuilt: boolean
  close(): void
}

/**
 * As it lies, if SQLite finds the tables; else a copy of it. An outbox that is not damaged is read like any.
 *
 * @throws SturdyError as `OutboxView.read`, if there is no outbox, or nothing to be had.
 */
export function openDamaged(path: string): DamagedView {
  const reader = new OutboxView(path)
  try {
    reader.read(findTables)
    return Object.assign(reader, { isRebuilt: false })
  } catch (error) {
    reader.close()
    if (!isDamaged(error) || !mayBeOutbox(path)) throw error
    return rebuilt(path, error)
  }
}

function isDamaged(error: unknown): boolean {
  return error instanceof SturdyError ? isDamageCode(error.code) : isDamage(error)
}

/** Reads no row. */
function findTables(db: Database): void {
  for (const table of ["sturdy_meta", "sturdy_stream", "sturdy_op", "sturdy_dead_letter", "sturdy_superseded"])
    db.prepare(`select 1 from ${table} limit 0`).all()
}

function rebuilt(path: string, error: unknown): DamagedView {
  try {
    const copy = fromPlainCopy(path, systemClock, (file) => openRebuilt(file, path))
    if (!copy?.opened) throw error
    const db = copy.opened
    return {
      read: (body) => body(db),
      note: "its first page, or its schema, cannot be read: read from a copy made just now, with a new one",
      isRebuilt: true,
      close: () => db.close(),
    }
  } catch (cause) {
    // Not even a copy could be made to show its tables: the first reason is the better one.
    throw isDamage(cause) ? error : cause
  }
}

/** Undefined if it shows no outbox either. */
function openRebuilt(copy: string, path: string): Handle | undefined {
  rebuildFirstPage(copy)
  const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI
  const db = new Handle(`${pathToFileURL(copy)}?immutable=1`, flags)
  try {
    findTables(db)
    if (isOutbox(path) || hasMeta(db)) return db
  } catch (error) {
    db.close()
    throw error
  }
  db.close()
  return
}

/** Behind a first page of ours everything is an outbox, so it must be seen by what is in it. */
function hasMeta(db: Database): boolean {
  const meta = db.prepare("select typeof(outbox_id) as id, typeof(version) as version from sturdy_meta").get()
  return Bun.deepEquals(meta, { id: "text", version: "integer" })
}

/** Something of an outbox is in it, be its first page gone. */
export function mayBeOutbox(path: string): boolean {
  return isOutbox(path) || hasRoots(path)
}
