/** SQLite's errors in Sturdy's words, for whatever a command met below them. */
import { SQLiteError } from "bun:sqlite"
import { SturdyError } from "../../intent/error.ts"
import { storageError } from "../../store/fault.ts"

/** Below whatever wraps it: drizzle repeats the whole query in its message. */
export function databaseError(error: unknown): unknown {
  // Whoever threw it knew the file and what was tried.
  if (error instanceof SturdyError) return error
  const inner = error instanceof Error && error.cause instanceof SQLiteError ? error.cause : error
  const known = storageError(inner, "the outbox")
  if (!(known instanceof SQLiteError)) return known === inner ? error : known
  return new SturdyError(
    "database_corrupt",
    `the outbox cannot be read (${known.message}): it is damaged, or of a version that this Sturdy does not know`,
    "Keep a copy of the file and its -wal; then upgrade Sturdy, or name another file with --db.",
    { cause: known },
  )
}
