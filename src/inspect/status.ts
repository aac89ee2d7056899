/** How an outbox stands, for people and programs. Read-only; nothing here counts rows, whatever is pending. */
import type { Database } from "bun:sqlite"
import { hintOf } from "../flusher/block.ts"
import type { StreamRow } from "../store/stream.ts"
import { localSeq } from "../store/stream.ts"

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
  /** Name of the wire protocol in which the service has answered; null as long as it has not. */
  protocol: string | null
  url: string | null
  /** Of the share, as last told. */
  epoch: number | null
  /** Places in the stream, from 1: the last op recorded, the last one with everything up to it settled. */
  recorded: number
  cursor: number
  /** Frozen and not settled: sent, or about to be. */
  in_flight: number
  /** When the oldest pending op was recorded, ms since the epoch. */
  time_oldest: number | null
  /** When the last Ack was settled, of those whose batch is still kept. */
  time_last_ack: number | null
  /** Settled ops that are still kept, for a service that loses data. */
  retained_ops: number
  retained_bytes: number
}

export interface Status {
  version: number
  pending: number
  dead: number
  streams: StreamSummary[]
}

interface Row extends StreamRow {
  last_seq: number
  time_oldest: number | null
  time_last_ack: number | null
  frozen_ops: number | null
}

export const status_version = 1

export function readStatus(db: Database): Status {
  const streams = readStreams(db)
  const sum = (field: "pending" | "dead") => streams.reduce((total, stream) => total + stream[field], 0)
  return { version: status_version, pending: sum("pending"), dead: sum("dead"), streams }
}

/** In the order in which they were opened first. */
export function readStreams(db: Database): StreamSummary[] {
  return (db.prepare(streamsSql).all() as Row[]).map(summaryOf)
}

/** The stream stands, or something of it was refused for good: it does not get well by itself, or not soon. */
export function needsPerson({ block, dead }: Pick<StreamSummary, "block" | "dead">): boolean {
  return block !== null || dead > 0
}

// Look-ups by place only: of a stream's last op, its first pending one, its last settled batch, and those in flight: few,
// but after a server_reset, when places without an op may lie among theirs.
const streamsSql = `select *,
    max(cursor, coalesce((select max(seq) from sturdy_op op
      where op.seq >= stream.stream_id << 32 and op.seq < (stream.stream_id + 1) << 32), 0)) as last_seq,
    (select time_created from sturdy_op op
      where op.seq > stream.cursor and op.seq < (stream.stream_id + 1) << 32 order by op.seq limit 1) as time_oldest,
    (select time_settled from sturdy_batch batch
      where batch.first_seq > stream.stream_id << 32 and batch.first_seq <= stream.cursor
      order by batch.first_seq desc limit 1) as time_last_ack,
    (select sum(op_count) from sturdy_batch batch
      where batch.first_seq > stream.cursor and batch.first_seq < (stream.stream_id + 1) << 32) as frozen_ops
  from sturdy_stream stream order by stream_id`

function summaryOf(row: Row): StreamSummary {
  const isClosed = row.time_closed !== null
  // pending = last seq - cursor - seqs without an op.
  const pending = isClosed ? 0 : row.last_seq - row.cursor - row.gap_count
  return {
    stream: row.name,
    service: row.service,
    share_id: row.share_id,
    pending,
    dead: row.dead_count,
    state: stateOf(row, pending),
    attempts: row.attempts,
    next_attempt_at: row.next_attempt_at,
    last_error: row.last_error,
    block: row.block,
    block_message: row.block_message,
    block_hint: row.block === null ? null : hintOf(row.block),
    time_blocked: row.time_blocked,
    // Columns that a file which an older Sturdy made may not have.
    resync_owed: row.resync_owed ?? null,
    twins: row.twin_count,
    server_resets: row.reset_count,
    posts: row.post_count,
    batches: row.batch_count,
    superseded: row.superseded_count,
    protocol: row.protocol ?? null,
    url: row.url,
    epoch: row.epoch,
    recorded: localSeq(row.last_seq),
    cursor: localSeq(row.cursor),
    in_flight: isClosed ? 0 : (row.frozen_ops ?? 0),
    time_oldest: isClosed ? null : row.time_oldest,
    time_last_ack: row.time_last_ack,
    retained_ops: row.retained_ops,
    retained_bytes: row.retained_bytes,
  }
}

function stateOf(row: Row, pending: number): StreamSummary["state"] {
  if (row.time_closed !== null) return "removed"
  if (row.block !== null) return "blocked"
  if (row.time_removal !== null) return "removing"
  // Without a failed attempt: a block was lifted, and the service had asked for silence.
  if (row.attempts > 0 || (row.next_attempt_at !== null && pending > 0)) return "waiting"
  return pending > 0 ? "pending" : "idle"
}
