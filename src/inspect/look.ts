/** One look at an outbox: all that is needed to tell what happened since the look before. Index look-ups only. */
import type { Database } from "bun:sqlite"
import { type LeaseSummary, readLease } from "./lease.ts"
import { readStreams, type StreamSummary } from "./status.ts"

export interface Look {
  /** ms since the epoch. */
  time: number
  /** Another one: the file was replaced. */
  outbox_id: string
  streams: StreamSummary[]
  lease: LeaseSummary | null
}

export function readLook(db: Database, now: number): Look {
  // One snapshot: what a host settles between two reads would be told of one and not of the other.
  db.run("begin")
  try {
    const { outbox_id } = db.prepare("select outbox_id from sturdy_meta").get() as { outbox_id: string }
    return { time: now, outbox_id, streams: readStreams(db), lease: readLease(db, now) }
  } finally {
    db.run("rollback")
  }
}
