/** What one process sees of its outbox file: the database, for as long as the process lives, with a disk that can fail. */
import { type Database, SQLiteError, type SQLQueryBindings } from "bun:sqlite"
import { Killed } from "./life.ts"
import type { MemoryDatabase } from "./memory-database.ts"

/** Faults of the disk under one outbox file, and of the others who use it. */
export interface Disk {
  readonly db: MemoryDatabase
  /** Another process holds the write lock. */
  isLocked(): boolean
  /** No room: writes fail, and are rolled back. */
  isFull: boolean
  /** So many writes still fit then. */
  roomFor: number
  /** Of the next commit, which throws: it happened all the same, or it did not. */
  nextCommit: "happens" | "fails" | undefined
  /** Told after each commit. */
  committed(): void
}

type Wrapped = ReturnType<MemoryDatabase["prepared"]>

const writes = /^\s*(insert|update|delete|replace)\b/i

/**
 * The handle of a process. A hundred outboxes share the statements of one MemoryDatabase: what differs is who is dead.
 * Errors are those of SQLite, by code.
 */
export function handleOf(disk: Disk, isDead: () => boolean): Database {
  const { db } = disk
  const assertAlive = () => {
    if (isDead()) throw new Killed("the process is dead")
  }
  const begin = () => {
    assertAlive()
    if (disk.isLocked()) throw sqliteError("SQLITE_BUSY", 5, "database is locked")
    db.run("begin immediate")
  }
  const commit = () => {
    assertAlive()
    const fate = disk.nextCommit
    disk.nextCommit = undefined
    if (fate === "fails") throw sqliteError("SQLITE_IOERR_WRITE", 778, "disk I/O error")
    db.run("commit")
    disk.committed()
    if (fate === "happens") throw sqliteError("SQLITE_IOERR_FSYNC", 1034, "disk I/O error")
  }
  const rollback = () => {
    if (db.inTransaction) db.run("rollback")
  }
  const control: Record<string, () => void> = { "begin immediate": begin, commit, rollback }
  const prepare = (sql: string): Wrapped => {
    const step = control[sql]
    if (step) return { run: step } as unknown as Wrapped
    const statement = db.prepared(sql)
    return writes.test(sql) ? failingWhenFull(statement, disk) : statement
  }
  return new Proxy(db, {
    get(target, name) {
      if (name === "prepare" || name === "query") return prepare
      if (name === "inTransaction") return !isDead() && target.inTransaction
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}

/** A statement that writes, on a disk that may be full. */
function failingWhenFull(statement: Wrapped, disk: Disk): Wrapped {
  const assertRoom = () => {
    if (disk.isFull && --disk.roomFor < 0) throw sqliteError("SQLITE_FULL", 13, "database or disk is full")
  }
  const wrapped = {
    run: (...params: SQLQueryBindings[]) => (assertRoom(), statement.run(...params)),
    get: (...params: SQLQueryBindings[]) => (assertRoom(), statement.get(...params)),
    all: (...params: SQLQueryBindings[]) => (assertRoom(), statement.all(...params)),
    values: (...params: SQLQueryBindings[]) => (assertRoom(), statement.values(...params)),
  }
  return wrapped as unknown as Wrapped
}

/** bun:sqlite lets nobody make one. */
function sqliteError(code: string, errno: number, message: string): SQLiteError {
  const error = Object.assign(new Error(message), { name: "SQLiteError", code, errno, byteOffset: -1 })
  return Object.setPrototypeOf(error, SQLiteError.prototype) as SQLiteError
}
