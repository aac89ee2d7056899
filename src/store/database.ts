/**
 * Opening an outbox: its own file, or the host's handle. What is not an outbox is refused with its bytes untouched.
 *
 * Order matters (measured): busy_timeout before journal_mode, else 60 of 90 concurrent first opens fail; auto_vacuum
 * before the first table; the file created 0600 before SQLite opens it, so that -wal and -shm inherit the mode.
 * Never open the main or -shm file by other means while it is open: closing such a descriptor drops SQLite's locks.
 */
import { constants, Database, type SQLQueryBindings, type Statement } from "bun:sqlite"
import { closeSync, fsyncSync, mkdirSync, openSync, realpathSync, statSync, type Stats } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import { Connection } from "./connection.ts"
import { sqliteCode, storageError } from "./fault.ts"
import { migrate, upToDate } from "./migrate.ts"

/** "Strd": marks an outbox file, beside its tables. */
const application_id = 0x53747264

/** Files that this process has open: a second handle of one process waits for itself and drops its locks on close. */
const openFiles = new Set<string>()

/** Its close really closes: with a statement left, SQLite keeps the locks and the -wal until the garbage is collected. */
class Handle extends Database {
  readonly #statements: Statement[] = []

  override prepare<Row, Params extends SQLQueryBindings | SQLQueryBindings[]>(sql: string, params?: Params) {
    const statement = super.prepare<Row, Params>(sql, params)
    this.#statements.push(statement)
    return statement
  }

  override close(): void {
    for (const statement of this.#statements.splice(0)) statement.finalize()
    super.close()
  }
}

export interface OpenDatabase {
  connection: Connection
  close(): void
}

/** The outbox's own file, or tables in the host's database. @throws SturdyError `invalid_argument`, and as below. */
export function openDatabase(where: string | { database: Database }, seams: Seams): OpenDatabase {
  if (typeof where === "string" && where !== "") return openDatabaseFile(where, seams)
  if (typeof where === "object" && where?.database) return useHostDatabase(where.database, seams)
  throw new SturdyError(
    "invalid_argument",
    "openOutbox needs a file name, or { database } with a Database of bun:sqlite",
    'For example openOutbox("notes.db").',
  )
}

/**
 * Opens or creates the outbox file. Effect on disk: the folder (0700), the file (0600), its WAL, the schema.
 *
 * @throws SturdyError `database_not_sqlite`, `database_not_outbox`, `database_corrupt`, `database_newer`,
 *   `database_unopenable`, `already_open`; the file is left as it was.
 */
function openDatabaseFile(path: string, seams: Seams): OpenDatabase {
  const file = locate(path)
  if (openFiles.has(file))
    throw new SturdyError(
      "already_open",
      `${file} is already open in this process`,
      "Share the one outbox object: a second handle would wait for the first and drop its locks.",
    )
  refuseForeign(file)
  refuseUntouched(file, seams)
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
    migrate(connection)
    mark(db)
    // From here on Connection waits, more fairly than SQLite does.
    db.run("pragma busy_timeout = 0")
    openFiles.add(file)
    return {
      connection,
      close() {
        openFiles.delete(file)
        db.close()
      },
    }
  } catch (error) {
    db.close()
    throw storageError(error, `opening ${file}`)
  }
}

/** Uses the host's handle: our tables beside its own, the host's pragmas, the host's file. Closing stays with the host. */
function useHostDatabase(db: Database, seams: Seams): OpenDatabase {
  if (!(db instanceof Database))
    throw new SturdyError(
      "invalid_argument",
      "{ database } is no Database of bun:sqlite",
      'For example openOutbox({ database: new Database("app.db") }).',
    )
  const connection = new Connection(db, seams, undefined)
  migrate(connection)
  return { connection, close() {} }
}

/** Opens an outbox for looking only: nothing is created, migrated or locked, and its owner is never waited for. */
export function openDatabaseForReading(path: string): Database {
  if (!statOf(path))
    throw new SturdyError("database_missing", `no outbox at ${path}`, "Check the path, or name another with --db FILE.")
  refuseForeign(path)
  try {
    const db = openReadOnly(path)
    db.run(`pragma busy_timeout = ${limit.busy_timeout_ms}`)
    const isEmpty = refuseOther(db, path)
    if (isEmpty)
      throw new SturdyError(
        "database_not_outbox",
        `${path} is empty: there is no outbox in it yet`,
        "Look again when the program that records has started, or name another with --db FILE.",
      )
    return db
  } catch (error) {
    throw storageError(error, `reading ${path}`)
  }
}

/** Without a WAL nobody has it open, and SQLite is told that the file does not change: else it would create -wal and -shm. */
function openReadOnly(path: string): Database {
  if (statOf(`${path}-wal`)?.size) return new Database(path, { readonly: true })
  const uri = `${pathToFileURL(resolve(path))}?immutable=1`
  return new Database(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI)
}

/** Closing the last writable handle copies a -wal back: what is not ours to open must be seen through a read-only one. */
function refuseUntouched(file: string, seams: Seams): void {
  if (!statOf(`${file}-wal`)?.size) return
  // Power failed while the file was made: only a writable handle can roll back, and a read-only one is refused.
  if (statOf(`${file}-journal`)?.size) return
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

/** The real path, with folder and file created if they are not there. */
function locate(path: string): string {
  const folder = dirname(resolve(path))
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (made) syncFolders(folder, dirname(made))
    const file = join(realpathSync(folder), basename(path))
    const stats = statOf(file)
    if (!stats) closeSync(openSync(file, "wx", 0o600))
    return realpathSync(file)
  } catch (cause) {
    if (cause instanceof SturdyError) throw cause
    // Another process created it between our look and our create.
    if (systemCode(cause) === "EEXIST" && isFile(path)) return realpathSync(path)
    throw new SturdyError(
      "database_unopenable",
      `${path} cannot be created (${systemCode(cause) ?? cause})`,
      "Check that the folder exists and may be written.",
      { cause },
    )
  }
}

/** New folders survive a power loss once their parents are synced; SQLite syncs only the folder of the file itself. */
function syncFolders(from: string, to: string): void {
  for (let folder = from; ; folder = dirname(folder)) {
    const fd = openSync(folder, "r")
    fsyncSync(fd)
    closeSync(fd)
    if (folder === to || folder === dirname(folder)) return
  }
}

/** What only the file system can say: SQLite would take an emptied outbox for a new one. Opens nothing. */
function refuseForeign(file: string): void {
  const stats = statOf(file)
  if (!stats) return
  if (!stats.isFile())
    throw new SturdyError(
      "database_not_outbox",
      `${file} is ${stats.isDirectory() ? "a directory" : "not a regular file"}`,
      "Name a file for the outbox.",
    )
  if (stats.nlink > 1)
    throw new SturdyError(
      "database_unsafe",
      `${file} has ${stats.nlink} hard links: two names lead to two WALs for one file`,
      "Keep one name for the outbox file.",
    )
  if (stats.size === 0) refuseStump(file)
}

/** An empty file is a new outbox, unless a WAL beside it says that there was one. */
function refuseStump(file: string): void {
  const wal = statOf(`${file}-wal`)
  if (wal && wal.size > 0) throw corrupt(file, `it is empty but its -wal has ${wal.size} bytes`)
}

function corrupt(file: string, why: string): SturdyError {
  return new SturdyError(
    "database_corrupt",
    `${file} is damaged: ${why}`,
    "Move the file away together with its -wal and keep both; a new outbox is then created.",
  )
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
    if (sqliteCode(error)?.startsWith("SQLITE_CORRUPT")) throw corrupt(file, "its schema cannot be read")
    throw error
  }
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

/** Never throws: a path below a file is none. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function systemCode(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined
}
