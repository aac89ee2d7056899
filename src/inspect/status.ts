/** How an outbox stands, for people and programs. Read-only; nothing here counts rows, whatever is pending. */
import type { Database } from "bun:sqlite"
import { hintOf } from "../flusher/block.ts"
import type { StreamRow } from "../store/stream.ts"
import { SturdyError } from "../intent/error.ts"
import { endSeq, firstSeq, localSeq } from "../store/stream.ts"

export const streamStates = ["idle", "pending", "waiting", "blocked", "removing", "removed"] as const
export type StreamState = (typeof streamStates)[number]

export interface StreamSummary {
  stream: string
  /** Its endpoint, as it is stored. */
  service: string
  share_id: string
  /** Ops that are not settled. */
  pending: number
  /** Dead letters about which nobody has decided. */
  dead: number
  /** `waiting`: an attempt failed, or the service asked to wait. `removing`: its removal is not settled yet. */
  state: StreamState
  /** Attempts that failed in a row; while blocked, the probes. */
  attempts: number
  /** Of the next attempt or probe, ms since the epoch; null if none waits. */
  next_attempt_at: number | null
  /** What the last attempt that failed met. */
  last_error: string | null
  /** The reason, one of `flusher/block.ts`, or of a newer Sturdy. */
  block: string | null
  block_message: string | null
  /** What a person can do about the block. */
  block_hint: string | null
  /** ms since the epoch. */
  time_blocked: number | null
  /** Why the host's `resync` hook is still to be told. */
  resync_owed: string | null
  /** These five since the stream was opened. */
  twins: number
  server_resets: number
  posts: number
  /** Settled. */
  batches: number
  /** Ops that newer ones replaced before they were sent. */
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
  /** As they are sent, in batches. */
  retained_bytes: number
}

export interface Status {
  /** Of this form. */
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
  const { pending, dead } = totalsOf(streams)
  return { version: status_version, pending, dead, streams }
}

/** In the order in which they were opened first. */
export function readStreams(db: Database): StreamSummary[] {
  return (db.prepare(streamsSql).all() as Row[]).map(summaryOf)
}

export interface Totals {
  pending: number
  dead: number
  posts: number
  /** Streams that need a person. */
  in_need: number
}

export function totalsOf(streams: readonly StreamSummary[]): Totals {
  const totals = { pending: 0, dead: 0, posts: 0, in_need: 0 }
  for (const stream of streams) {
    totals.pending += stream.pending
    totals.dead += stream.dead
    totals.posts += stream.posts
    if (needsPerson(stream)) totals.in_need += 1
  }
  return totals
}

/** Nothing is to be sent. */
export function isQuiet({ state }: Pick<StreamSummary, "state">): boolean {
  return state === "idle" || state === "removed"
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
  refuseDamaged(row)
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

/** A row whose places contradict each other would be told as numbers that nobody can make sense of. */
function refuseDamaged(row: Row): void {
  const { name, stream_id, pruned_seq, cursor, frozen_seq, last_seq, gap_count, time_closed } = row
  const places = [firstSeq(stream_id), pruned_seq, cursor, endSeq(stream_id)]
  const isOrdered = places.every((place, at) => Number.isSafeInteger(place) && (at === 0 || places[at - 1]! <= place))
  const isFrozenInside = frozen_seq >= cursor && frozen_seq < endSeq(stream_id)
  // Of a closed stream that made room for others it is left as it was.
  const isCounted = time_closed !== null || (gap_count >= 0 && gap_count <= last_seq - cursor)
  if (isOrdered && isFrozenInside && isCounted) return
  throw new SturdyError(
    "database_corrupt",
    `the row of stream ${name} is damaged: pruned ${pruned_seq}, cursor ${cursor}, frozen ${frozen_seq}, last ${last_seq}, ${gap_count} without an op`,
    "Keep a copy of the file and its -wal.",
  )
}

function stateOf(row: Row, pending: number): StreamState {
  if (row.time_closed !== null) return "removed"
  if (row.block !== null) return "blocked"
  if (row.time_removal !== null) return "removing"
  // Without a failed attempt: a block was lifted, and the service had asked for silence.
  if (row.attempts > 0 || (row.next_attempt_at !== null && pending > 0)) return "waiting"
  return pending > 0 ? "pending" : "idle"
}
