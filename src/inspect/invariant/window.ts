/** A stretch of a stream, read in one transaction: whole batches, and some ops behind them. */
import { opBytes } from "../../intent/op.ts"
import { isWhole, wireOfRow, type OpRow } from "../../store/op-row.ts"
import { endSeq, firstSeq } from "../../store/stream.ts"
import { isOrdered, type BatchPlaces, type OutboxReader, type StreamPlaces } from "./outbox-reader.ts"

/** Ops of one window, and of one that a batch makes longer. */
const window_ops = 1_000
const window_ops_max = 100_000

/** An op without its payload. */
export interface SeenOp {
  seq: number
  op_id: Uint8Array
  isWhole: boolean
  continues: boolean
  /** Of the text that is sent; 0 if the op is not frozen, or damaged. */
  wire_bytes: number
  depends_on: Uint8Array | null
  supersedes: Uint8Array | null
}

export interface Window {
  stream: StreamPlaces
  /** Places with from < place <= to. */
  from: number
  to: number
  ops: SeenOp[]
  /** Those that begin in it. */
  batches: BatchPlaces[]
  /** Nothing of the stream lies behind it. */
  isLast: boolean
}

/** The places from there on, or what became of them meanwhile: ops are pruned, and batches frozen. */
export function readWindow(reader: OutboxReader, stream_id: number, after: number): Window | undefined {
  const stream = reader.stream(stream_id)
  if (!stream) return
  const from = beginning(reader, stream, after)
  const to = ending(reader, stream_id, from)
  const ops = [...seen(reader, stream, from, to)]
  const batches = reader.all<BatchPlaces>(
    `select first_seq, last_seq, batch_id, op_count, bytes, time_settled from sturdy_batch
     where first_seq > ? and first_seq <= ? order by first_seq`,
    from,
    to,
  )
  return { stream, from, to, ops, batches, isLast: to === endSeq(stream_id) - 1 }
}

/** A batch that was frozen meanwhile over what was read is read as a whole. */
function beginning(reader: OutboxReader, stream: StreamPlaces, after: number): number {
  const first = firstSeq(stream.stream_id)
  const from = Math.max(after, first, isOrdered(stream) ? stream.pruned_seq : first)
  const batch = reader.get<{ first_seq: number; last_seq: number }>(
    "select first_seq, last_seq from sturdy_batch where first_seq > ? and first_seq <= ? order by first_seq desc limit 1",
    first,
    from,
  )
  return batch && after > first && batch.last_seq > from ? batch.first_seq - 1 : from
}

function ending(reader: OutboxReader, stream_id: number, from: number): number {
  const end = endSeq(stream_id)
  const nth = (count: number) =>
    reader.get<{ seq: number }>(
      "select seq from sturdy_op where seq > ? and seq < ? order by seq limit 1 offset ?",
      from,
      end,
      count - 1,
    )?.seq
  const to = nth(window_ops)
  if (to === undefined) return end - 1
  const batch = reader.get<{ last_seq: number }>(
    "select last_seq from sturdy_batch where first_seq > ? and first_seq <= ? order by first_seq desc limit 1",
    from,
    to,
  )
  if (!batch || batch.last_seq <= to) return to
  return Math.min(batch.last_seq, nth(window_ops_max) ?? end - 1, end - 1)
}

function* seen(reader: OutboxReader, stream: StreamPlaces, from: number, to: number): Generator<SeenOp> {
  for (const row of reader.ops(from, to)) {
    const whole = isWhole(row)
    yield {
      seq: row.seq,
      op_id: row.op_id,
      isWhole: whole,
      continues: row.continues !== null,
      wire_bytes: whole && row.seq <= stream.frozen_seq ? wireBytes(row, stream) : 0,
      depends_on: row.depends_on,
      supersedes: row.supersedes,
    }
  }
}

function wireBytes(row: OpRow, stream: StreamPlaces): number {
  return opBytes(wireOfRow(row, stream))
}
