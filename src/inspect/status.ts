/** How an outbox stands, for people and programs. Read-only; nothing here counts rows. */
import type { Database } from "bun:sqlite"
import { hintOf } from "../flusher/block.ts"

export interface StreamSummary {
  stream: string
  service: string
  share_id: string
  pending: number
  dead: number
  state: "idle" | "pending" | "waiting" | "blocked" | "removing" | "removed"
  /** Attempts that failed in a row; while blocked, the probes. */
  attempts: number
  /** Of the next attempt or probe, ms since the epoch; null if none waits. */
  next_attempt_at: number | null
  last_error: string | null
  block: string | null
  block_message: string | null
  /** What a person can do about the block. */
  block_hint: string | null
  /** ms since the epoch. */
  time_blocked: number | null
  /** Why the host's `resync` hook is still to be told. */
  resync_owed: string | null
  twins: number
  server_resets: number
  posts: number
  batches: number
  superseded: number
}

export interface Status {
  version: number
  pending: number
  dead: number
  streams: StreamSummary[]
}

interface Row {
  name: string
  service: string
  share_id: string
  pending: number
  dead_count: number
  attempts: number
  next_attempt_at: number | null
  last_error: string | null
  block: string | null
  block_message: string | null
  time_blocked: number | null
  resync_owed: string | null
  time_removal: number | null
  time_closed: number | null
  twin_count: number
  reset_count: number
  post_count: number
  batch_count: number
  superseded_count: number
}

export const status_version = 1

export function readStatus(db: Database): Status {
  const streams = (db.prepare(streamsSql).all() as Row[]).map(summaryOf)
  const sum = (field: "pending" | "dead") => streams.reduce((total, stream) => total + stream[field], 0)
  return { version: status_version, pending: sum("pending"), dead: sum("dead"), streams }
}

// pending = last seq - cursor - seqs without an op: two index look-ups per stream, whatever is pending.
const streamsSql = `select *, case when time_closed is not null then 0 else max(cursor, coalesce(
    (select max(seq) from sturdy_op where seq >= stream_id << 32 and seq < (stream_id + 1) << 32), 0))
    - cursor - gap_count end as pending
  from sturdy_stream order by stream_id`

function summaryOf(row: Row): StreamSummary {
  return {
    stream: row.name,
    service: row.service,
    share_id: row.share_id,
    pending: row.pending,
    dead: row.dead_count,
    state: stateOf(row),
    attempts: row.attempts,
    next_attempt_at: row.next_attempt_at,
    last_error: row.last_error,
    block: row.block,
    block_message: row.block_message,
    block_hint: row.block === null ? null : hintOf(row.block),
    time_blocked: row.time_blocked,
    // A file that an older Sturdy made may not have it.
    resync_owed: row.resync_owed ?? null,
    twins: row.twin_count,
    server_resets: row.reset_count,
    posts: row.post_count,
    batches: row.batch_count,
    superseded: row.superseded_count,
  }
}

function stateOf(row: Row): StreamSummary["state"] {
  if (row.time_closed !== null) return "removed"
  if (row.block !== null) return "blocked"
  if (row.time_removal !== null) return "removing"
  // Without a failed attempt: a block was lifted, and the service had asked for silence.
  if (row.attempts > 0 || (row.next_attempt_at !== null && row.pending > 0)) return "waiting"
  return row.pending > 0 ? "pending" : "idle"
}
