/** A stream that a person named: is it there, and if not, which was meant? */
import type { Database } from "bun:sqlite"
import { hasWildcard } from "../../inspect/name-pattern.ts"
import { SturdyError } from "../../intent/error.ts"
import { nearest } from "./nearest.ts"

/** A pattern may mean none. @throws SturdyError `stream_unknown` */
export function checkStreams(db: Database, pattern: string | undefined): void {
  if (pattern !== undefined && !hasWildcard(pattern)) checkStream(db, pattern)
}

/** @throws SturdyError `stream_unknown` */
export function checkStream(db: Database, name: string): void {
  if (db.prepare("select 1 from sturdy_stream where name = ?").get(name)) return
  const names = (db.prepare("select name from sturdy_stream").all() as { name: string }[]).map((row) => row.name)
  const meant = nearest(name, names)
  throw new SturdyError(
    "stream_unknown",
    `there is no stream ${name} in this outbox`,
    meant.length > 0 ? `Did you mean ${meant.join(", or ")}?` : "`sturdy streams` lists its streams.",
  )
}
