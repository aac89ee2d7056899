/** Frozen batches, and what waits to be sealed into one. Read-only. */
import type { Database } from "bun:sqlite"
import { localSeq } from "../store/stream.ts"
import { globOf } from "./name-pattern.ts"

export const batchStates = ["in_flight", "settled", "discarded"] as const
export type BatchState = (typeof batchStates)[number]

export interface BatchSummary {
  batch_id: string
  stream: string
  /** `in_flight`: frozen, so it was sent or is about to be. `discarded`: its share was removed first. */
  state: BatchState
  /** Places of its ops in the stream, from 1. */
  first_seq: number
  last_seq: number
  ops: number
  bytes: number
  /** Ops of it that were rejected for good, whatever was decided about them since. */
  rejected: number
  time_frozen: number
  time_settled: number | null
}

export interface BatchesPage {
  batches: BatchSummary[]
  /** Pass as `after` for the next page; null at the end. */
  next: number | null
}

export interface BatchesFilter {
  /** `*` stands for any text. */
  stream?: string | undefined
  state?: BatchState | undefined
  /** Global place of the first op of the last batch of the page before. */
  after?: number | undefined
  limit: number
}

/** With global places. */
type Row = BatchSummary

// By the cursor, as op_state: what a server_reset made pending again keeps the time at which it was settled first.
const batchSql = `select batch_id, name as stream,
    case when last_seq <= cursor then 'settled' when time_closed is not null then 'discarded' else 'in_flight' end as state,
    first_seq, last_seq, op_count as ops, bytes,
    (select count(*) from sturdy_dead_letter dead where dead.seq >= first_seq and dead.seq <= last_seq) as rejected,
    time_frozen, case when last_seq <= cursor then time_settled end as time_settled
  from sturdy_batch join sturdy_stream stream on stream.stream_id = first_seq >> 32`

/** In the order of streams and places. */
export function readBatches(db: Database, { stream, state, after = 0, limit }: BatchesFilter): BatchesPage {
  const rows = db
    .prepare(
      `select * from (${batchSql}) where first_seq > ?1 and (?2 is null or stream glob ?2) and (?3 is null or state = ?3)
       order by first_seq limit ?4`,
    )
    .all(after, stream === undefined ? null : globOf(stream), state ?? null, limit) as Row[]
  return { batches: rows.map(summaryOf), next: rows.length === limit ? rows.at(-1)!.first_seq : null }
}

export interface BatchPlace {
  batch: BatchSummary
  /** Global places of its first and last op. */
  first: number
  last: number
}

/** Of this id; undefined if there is none, or none any more. */
export function readBatch(db: Database, batch_id: string): BatchPlace | undefined {
  const row = db.prepare(`select * from (${batchSql}) where batch_id = ?`).get(batch_id) as Row | null
  return row ? { batch: summaryOf(row), first: row.first_seq, last: row.last_seq } : undefined
}

/** The batch that holds the op at this global place. */
export function batchAt(db: Database, seq: number): BatchSummary | undefined {
  const row = db
    .prepare(`select * from (${batchSql}) where first_seq <= ?1 order by first_seq desc limit 1`)
    .get(seq) as Row | null
  return row && row.last_seq >= seq ? summaryOf(row) : undefined
}

function summaryOf(row: Row): BatchSummary {
  return { ...row, first_seq: localSeq(row.first_seq), last_seq: localSeq(row.last_seq) }
}
