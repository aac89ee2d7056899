/** The SQL port on bun:sqlite: one file, one writer at a time, every commit on disk before the service answers. */
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite"
import { closeSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { SturdyError } from "../intent/error.ts"
import { busy_timeout_ms, wal_bytes_max } from "../intent/limit.ts"
import { type Sql, SqlBusyError, type SqlEngine, sqlPort } from "./sql-port.ts"

export interface SqlFile extends Sql, Disposable {
  close(): void
}

/** Prepared statements kept; a handler that builds its SQL text must not fill the memory. */
const statements_max = 500

/** Opens or creates a service's database file (mode 0600, its new directory 0700). */
export function openShareServiceFile(file: string): SqlFile {
  if (file !== ":memory:") createPrivately(file)
  const db = new Database(file, { create: true, readwrite: true, strict: true })
  try {
    // The timeout first: with WAL first, 60 of 90 simultaneous opens failed with SQLITE_BUSY.
    db.run(`PRAGMA busy_timeout = ${busy_timeout_ms}`)
    refuseOther(db, file)
    db.run("PRAGMA journal_mode = WAL")
    // An Ack is a promise for ever, so it must survive power loss.
    db.run("PRAGMA synchronous = FULL")
    db.run("PRAGMA foreign_keys = ON")
    db.run(`PRAGMA journal_size_limit = ${wal_bytes_max}`)
  } catch (error) {
    db.close()
    throw error
  }
  const engine = new BunEngine(db)
  const close = () => {
    engine.finalize()
    db.close()
  }
  return { ...sqlPort(engine), close, [Symbol.dispose]: close }
}

/** A database with tables of somebody else's is not ours to take over: mount the service in it with `sql` instead. */
function refuseOther(db: Database, file: string): void {
  const { tables } = db.query("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number }
  if (tables === 0 || isShareService(db)) return
  throw new SturdyError(
    "database_not_service",
    `${file} is a database of something else, not a share service's`,
    "Name another file; nothing was written to this one.",
  )
}

function isShareService(db: Database): boolean {
  const ours = ["schema_version", "service", "share", "capability"]
  const found = db.query("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[]
  return ours.every((name) => found.some((table) => table.name === name))
}

function createPrivately(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  try {
    // Only ever to create it: opening a live database by other means drops its locks. WAL and SHM inherit the mode.
    closeSync(openSync(file, "wx", 0o600))
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw error
  }
}

class BunEngine implements SqlEngine {
  readonly #db: Database
  readonly #statements = new Map<string, Statement<unknown, SQLQueryBindings[]>>()
  #depth = 0

  constructor(db: Database) {
    this.#db = db
  }

  all(query: string, params: SQLQueryBindings[]): unknown[] {
    return this.#statement(query).all(...params)
  }

  get(query: string, params: SQLQueryBindings[]): unknown {
    return this.#statement(query).get(...params)
  }

  run(query: string, params: SQLQueryBindings[]): number {
    return this.#statement(query).run(...params).changes
  }

  transaction<T>(body: () => T): T {
    const [begin, commit, rollback] = this.#depth
      ? ["SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"]
      : ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]
    this.#begin(begin)
    this.#depth++
    try {
      const value = body()
      // After SQLITE_FULL or an I/O error the transaction is already gone, and what followed ran outside of it.
      if (!this.#db.inTransaction) throw new Error("the transaction was lost")
      this.run(commit, [])
      return value
    } catch (error) {
      if (this.#db.inTransaction) {
        this.run(rollback, [])
        if (this.#depth > 1) this.run(commit, [])
      }
      throw error
    } finally {
      this.#depth--
    }
  }

  /** Before closing: with a statement left, SQLite keeps the locks and the -wal until the garbage is collected. */
  finalize(): void {
    for (const statement of this.#statements.values()) statement.finalize()
    this.#statements.clear()
  }

  #begin(begin: string): void {
    try {
      this.run(begin, [])
    } catch (error) {
      if ((error as { code?: unknown }).code === "SQLITE_BUSY") throw new SqlBusyError("the database is locked")
      throw error
    }
  }

  #statement(query: string): Statement<unknown, SQLQueryBindings[]> {
    const known = this.#statements.get(query)
    if (known) return known
    if (this.#statements.size >= statements_max) this.finalize()
    const statement = this.#db.prepare<unknown, SQLQueryBindings[]>(query)
    this.#statements.set(query, statement)
    return statement
  }
}
