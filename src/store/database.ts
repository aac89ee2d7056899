/**
 * Opening an outbox: its own file, or the host's handle. What is not an outbox is refused with its bytes untouched.
 *
 * Order matters (measured): busy_timeout before journal_mode, else 60 of 90 concurrent first opens fail; auto_vacuum
 * before the first table; the file created 0600 before SQLite opens it, so that -wal and -shm inherit the mode.
 * Never open the main or -shm file by other means while it is open: closing such a descriptor drops SQLite's locks.
 */
import { constants, type Database } from "bun:sqlite"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import { Connection } from "./connection.ts"
import { keepDamagedWal } from "./damaged-wal.ts"
import { sqliteCode, storageError } from "./fault.ts"
import { Handle } from "./handle.ts"
import { type HostDatabase, openInHost } from "./host-database.ts"
import { migrate, upToDate } from "./migrate.ts"
import { walFault } from "./wal.ts"
import { application_id, bytesOf, corrupt, locate, refuseForeign, statOf } from "./place.ts"
import { quarantine, type Quarantined } from "./quarantine.ts"
import { acquit, findDamage, suspect, suspicionOf } from "./suspect.ts"

/** Files that this process has open: a second handle of one process waits for itself and drops its locks on close. */
const openFiles = new Set<string>()

/** Of the real path. */
export function isOpenHere(file: string): boolean {
  return openFiles.has(file)
}

/** Before an open that was told `busy` at once is tried again, at most. */
const busy_pause_ms = 50

/** What to do with an outbox file that is damaged: refuse it as it lies, or put it aside and begin afresh. */
export type Damaged = "refuse" | "quarantine"

/** Another process may put the file aside between our look and our lock: whatever went wrong then, it is another file. */
const tries_max = 8

export interface OpenDatabase {
  connection: Connection
  /** The damaged file that this one took the place of, or the damaged -wal of which it has what was whole. */
  quarantined: Quarantined | undefined
  close(): void
}

/**
 * The outbox's own file, or tables in the host's database, which is never put aside.
 *
 * @throws SturdyError `invalid_argument`, and as below.
 */
export function openDatabase(where: string | HostDatabase, seams: Seams, damaged: Damaged = "refuse"): OpenDatabase {
  if (damaged !== "refuse" && damaged !== "quarantine")
    throw new SturdyError("invalid_argument", "damaged must be refuse or quarantine", 'The default is "refuse".')
  if (typeof where === "string" && where !== "") return openDatabaseFile(where, seams, damaged)
  if (typeof where === "object" && where?.database) return openInHost(where, seams)
  throw new SturdyError(
    "invalid_argument",
    "openOutbox needs a file name, or { database } with a Database of bun:sqlite",
    'For example openOutbox("notes.db").',
  )
}

/**
 * Opens or creates the outbox file. Effect on disk: the folder (0700), the file (0600), its WAL, the schema; with
 * "quarantine" a damaged file and its -wal are renamed first; a -wal that is damaged behind whole frames is renamed always.
 *
 * @throws SturdyError `database_not_sqlite`, `database_not_outbox`, `database_corrupt`, `database_newer`,
 *   `database_unopenable`, `already_open`; the file is left as it was.
 */
function openDatabaseFile(path: string, seams: Seams, damaged: Damaged): OpenDatabase {
  const locks: Handle[] = []
  const kept: Quarantined[] = []
  const since = seams.clock.monotonic()
  try {
    for (let tries = 1; ; tries++) {
      const file = locate(path)
      if (openFiles.has(file))
        throw new SturdyError(
          "already_open",
          `${file} is already open in this process`,
          "Share the one outbox object: a second handle would wait for the first and drop its locks.",
        )
      const ino = statOf(file)?.ino
      try {
        return { ...openFile(file, seams, kept), quarantined: inOne(kept) }
      } catch (error) {
        if (!(error instanceof SturdyError) || tries >= tries_max) throw error
        // While others recover it, or change its mode, SQLite does not wait as it was told to.
        if (error.code === "busy" && seams.clock.monotonic() - since < limit.record_busy_ms_max) {
          seams.clock.block(busy_pause_ms * seams.random.fraction())
          continue
        }
        if (ino === undefined || statOf(file)?.ino !== ino) continue
        const isDamaged = error.code === "database_corrupt" || error.code === "database_not_sqlite"
        if (damaged === "refuse" || !isDamaged) throw error
        const aside = quarantine(file, ino, error, seams)
        if (!aside) continue
        locks.push(aside.lock)
        kept.push(aside.quarantined)
      }
    }
  } catch (error) {
    const before = inOne(kept)
    if (!before || !(error instanceof SturdyError)) throw error
    // Nobody else will ever say where the ops are.
    const message = `${error.message}; before that: ${before.message}`
    throw new SturdyError(error.code, message, error.hint, { cause: error, indeterminate: error.indeterminate })
  } finally {
    for (const lock of locks) lock.close()
  }
}

/** What was put aside, the last of it first: usually nothing, or one thing. */
function inOne(kept: readonly Quarantined[]): Quarantined | undefined {
  const [last, ...earlier] = kept.toReversed()
  return last && { ...last, message: [last, ...earlier].map(({ message }) => message).join("; before that: ") }
}

/** SQLite's errors as Sturdy's: the file may be put aside by another process at any moment, and is then opened again. */
function inOurWords<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storageError(error, `opening ${file}`)
  }
}

/** Adds to `kept` what it puts aside. */
function openFile(file: string, seams: Seams, kept: Quarantined[]): Omit<OpenDatabase, "quarantined"> {
  refuseForeign(file)
  refuseSuspect(file)
  refuseUntouched(file, seams)
  const damagedWal = inOurWords(file, () => keepDamagedWal(file, seams))
  if (damagedWal) kept.push(damagedWal)
  const db = connect(file)
  try {
    const isNew = refuseOther(db, file)
    // Set again, it would be a write transaction at every start, and would change a file that is then refused.
    if (isNew) db.run("pragma auto_vacuum = incremental")
    db.run("pragma journal_mode = wal")
    db.run("pragma synchronous = normal")
    db.run("pragma wal_autocheckpoint = 0")
    // macOS: a plain fsync does not reach the platter there.
    db.run("pragma checkpoint_fullfsync = 1")
    const connection = new Connection(db, seams, file)
    // From here on our shared lock keeps others from putting the file aside; before, somebody may have.
    connection.assertInPlace("open")
    migrate(connection)
    mark(db)
    // From here on Connection waits, more fairly than SQLite does.
    db.run("pragma busy_timeout = 0")
    connection.onDamage = (doing) => suspect(file, doing, seams.clock.now())
    openFiles.add(file)
    return {
      connection,
      close() {
        // Whatever comes of it: who was told to open it again must be able to.
        openFiles.delete(file)
        db.close()
      },
    }
  } catch (error) {
    db.close()
    throw storageError(error, `opening ${file}`)
  }
}

/**
 * Opens an outbox for looking only: nothing is created, migrated or locked, and its owner is never waited for. Close it:
 * what is open when the process exits Bun closes itself, and then SQLite empties a -wal of which it could read nothing.
 */
export function openDatabaseForReading(path: string): Database {
  if (!statOf(path))
    throw new SturdyError("database_missing", `no outbox at ${path}`, "Check the path, or name another with --db FILE.")
  refuseForeign(path)
  let db: Handle | undefined
  try {
    db = openReadOnly(path)
    db.run(`pragma busy_timeout = ${limit.busy_timeout_ms}`)
    const isEmpty = refuseOther(db, path)
    if (isEmpty && walFault(path))
      throw corrupt(path, `its -wal has ${bytesOf(`${path}-wal`)} bytes, none of them readable`)
    if (isEmpty)
      throw new SturdyError(
        "database_not_outbox",
        `${path} is empty: there is no outbox in it yet`,
        "Look again when the program that records has started, or name another with --db FILE.",
      )
    return db
  } catch (error) {
    db?.close()
    throw storageError(error, `reading ${path}`)
  }
}

/** Without a WAL nobody has it open, and SQLite is told that the file does not change: else it would create -wal and -shm. */
function openReadOnly(path: string): Handle {
  if (bytesOf(`${path}-wal`) > 0) return new Handle(path, { readonly: true })
  const uri = `${pathToFileURL(resolve(path))}?immutable=1`
  return new Handle(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI)
}

/** Closing the last writable handle copies a -wal back: what is not ours to open must be seen through a read-only one. */
function refuseUntouched(file: string, seams: Seams): void {
  if (bytesOf(`${file}-wal`) === 0) return
  // Power failed while the file was made: only a writable handle can roll back, and a read-only one is refused.
  if (bytesOf(`${file}-journal`) > 0) return
  let db: Handle | undefined
  try {
    db = new Handle(file, { readonly: true })
    db.run(`pragma busy_timeout = ${limit.record_busy_ms_max}`)
    refuseOther(db, file)
    upToDate(new Connection(db, seams, file))
  } catch (error) {
    throw storageError(error, `opening ${file}`)
  } finally {
    db?.close()
  }
}

/**
 * Damage was met while it was in use last: now every page is looked at, by a handle that copies no -wal back.
 *
 * @throws SturdyError `database_corrupt`.
 */
function refuseSuspect(file: string): void {
  const suspicion = suspicionOf(file)
  if (!suspicion) return
  const { condemned } = suspicion
  if (condemned !== undefined && condemned === statOf(file)?.ino)
    throw corrupt(file, "it was being put aside when the process ended")
  // Another file's, which is put aside by now.
  if (condemned !== undefined) return acquit(file)
  let db: Handle | undefined
  try {
    db = new Handle(file, { readonly: true })
    db.run(`pragma busy_timeout = ${limit.record_busy_ms_max}`)
    const found = findDamage(db)
    if (found) throw corrupt(file, `${found} (met at ${suspicion.since}: ${suspicion.doing})`)
    acquit(file)
  } catch (error) {
    throw storageError(error, `opening ${file}`)
  } finally {
    db?.close()
  }
}

/** Written once: setting it again would be a write transaction at every start. A mark of the host's own stays. */
function mark(db: Database): void {
  const current = db.prepare("pragma application_id").get() as { application_id: number }
  if (current.application_id === 0) db.run(`pragma application_id = ${application_id}`)
}

function connect(file: string): Handle {
  try {
    const db = new Handle(file, { create: false, readwrite: true })
    // While opening nobody's event loop matters yet, and several processes may migrate at once.
    db.run(`pragma busy_timeout = ${limit.record_busy_ms_max}`)
    return db
  } catch (error) {
    throw storageError(error, `opening ${file}`)
  }
}

function notOutbox(path: string): SturdyError {
  return new SturdyError(
    "database_not_outbox",
    `${path} is a database of something else, not a Sturdy outbox`,
    "Name another file; nothing was written to this one.",
  )
}

/** A database with tables of somebody else's is not ours to take over. True if it has none at all. */
function refuseOther(db: Database, file: string): boolean {
  try {
    const { tables } = db.prepare("select count(*) as tables from sqlite_schema").get() as { tables: number }
    if (tables === 0) return true
    const ours = db.prepare("select 1 from sqlite_schema where name = 'sturdy_meta'").get()
    if (!ours) throw notOutbox(file)
    return false
  } catch (error) {
    if (sqliteCode(error)?.startsWith("SQLITE_CORRUPT"))
      throw corrupt(file, "its schema cannot be read", { cause: error })
    throw error
  }
}
