/** SQLite's errors as Sturdy's, by code alone. */
import { SQLiteError } from "bun:sqlite"
import { SturdyError, type SturdyErrorCode } from "../intent/error.ts"

interface Rule {
  prefix: string
  code: SturdyErrorCode
  what: string
  hint: string
}

// The first prefix that fits. Extended codes: SQLITE_IOERR_FSYNC begins with SQLITE_IOERR.
const rules: Rule[] = [
  {
    prefix: "SQLITE_BUSY",
    code: "busy",
    what: "another process holds the write lock",
    hint: "Call again; if it stays, see which process keeps a transaction open on this file.",
  },
  {
    prefix: "SQLITE_LOCKED",
    code: "busy",
    what: "the table is locked in this process",
    hint: "Finish the host's statement on this connection, then call again.",
  },
  {
    prefix: "SQLITE_FULL",
    code: "disk_full",
    what: "the disk is full",
    hint: "Free some space: Sturdy goes on by itself, with the same handle.",
  },
  {
    prefix: "SQLITE_NOTADB",
    code: "database_not_sqlite",
    what: "the file is not a SQLite database",
    hint: "Check the path; the file was not changed.",
  },
  {
    prefix: "SQLITE_CORRUPT",
    code: "database_corrupt",
    what: "the database is damaged",
    hint: "Keep a copy of the file and its -wal, then move both away: a new outbox is created in their place.",
  },
  {
    prefix: "SQLITE_READONLY_DBMOVED",
    code: "database_moved",
    what: "the file was moved, deleted or replaced while it was open",
    hint: "Put the file back, or close this outbox and open it again.",
  },
  {
    prefix: "SQLITE_READONLY",
    code: "database_unopenable",
    what: "the database is read-only for this user",
    hint: "Give the user write permission on the file and on its folder.",
  },
  {
    prefix: "SQLITE_CANTOPEN",
    code: "database_unopenable",
    what: "the database cannot be opened",
    hint: "Check that the folder exists, that it may be written, and that the process has free file descriptors.",
  },
  {
    prefix: "SQLITE_PERM",
    code: "database_unopenable",
    what: "access to the database was denied",
    hint: "Check the permissions of the file and of its folder.",
  },
  {
    prefix: "SQLITE_IOERR",
    code: "storage_fault",
    what: "the disk reported an error",
    hint: "Check the disk; close and reopen the outbox before trusting what it shows.",
  },
]

/** SQLite's own code, e.g. `SQLITE_BUSY`, if the error is one of SQLite's. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof SQLiteError ? (error.code ?? "SQLITE_ERROR") : undefined
}

/** The bytes of the file are wrong. An error of the disk is none: read again, they may be right. */
export function isDamage(error: unknown): error is SQLiteError {
  const code = sqliteCode(error)
  return code !== undefined && (code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB"))
}

/** The same in Sturdy's words. */
export function isDamageCode(code: SturdyErrorCode): boolean {
  return code === "database_corrupt" || code === "database_not_sqlite"
}

/** Undefined: it is damaged. For what is beside the point, or told elsewhere. */
export function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isDamage(error)) return
    throw error
  }
}

/**
 * Wraps an error of SQLite's; anything else (a bug, a SturdyError) passes as it is. `doing` says what was tried.
 * `indeterminate`: the error came from COMMIT, so the transaction may have happened.
 */
export function storageError(error: unknown, doing: string, indeterminate = false): unknown {
  const code = sqliteCode(error)
  const rule = rules.find((rule) => code?.startsWith(rule.prefix))
  if (!rule) return error
  const outcome = indeterminate ? "it is not known whether it was written" : "nothing was written"
  return new SturdyError(rule.code, `${doing}: ${rule.what} (${code}); ${outcome}`, rule.hint, {
    cause: error,
    indeterminate,
  })
}

/** The open file is no longer the one of its name. What was written may be in a file that nobody will ever read. */
export function movedError(file: string, doing: string): SturdyError {
  return new SturdyError(
    "database_moved",
    `${doing}: ${file} was moved, deleted or replaced while it was open; what was written is in the old file`,
    "Put the file back, or close this outbox and open it again; repeating with the same captureId is safe.",
    { indeterminate: true },
  )
}
