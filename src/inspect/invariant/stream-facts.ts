/** The row of a stream against what can be counted of it: I1's counters, I4's settled op, I5's cursors. */
import { endSeq, firstSeq, localSeq } from "../../store/stream.ts"
import { isOrdered, type OutboxReader, type StreamPlaces } from "./outbox-reader.ts"
import { finding, nameOf, type Finding } from "./rule.ts"

type Check = (facts: Facts) => Finding[]

/** Each in a read transaction of its own. What they count is bounded: what is retained, in flight, replaced, or dead. */
export const streamChecks: readonly ((reader: OutboxReader, stream_id: number) => Finding[])[] = [
  ...[checkDead, checkRemoval, checkBatchIds, checkOrder].map(withFacts),
  ...[...prunedChecks(), checkEnds, checkRetained, checkReplaced, checkSettledOp].map(inOrder).map(withFacts),
]

function withFacts(check: Check) {
  return (reader: OutboxReader, stream_id: number): Finding[] => {
    const stream = reader.stream(stream_id)
    if (!stream) return []
    const last = Math.max(reader.lastOp(stream_id) ?? 0, stream.cursor)
    return check({ reader, stream, first: firstSeq(stream_id), end: endSeq(stream_id), last })
  }
}

/** Of cursors that are not in order nothing more is said. */
function inOrder(check: Check): Check {
  return (facts) => (isOrdered(facts.stream) ? check(facts) : [])
}

interface Facts {
  reader: OutboxReader
  stream: StreamPlaces
  first: number
  end: number
  /** Highest place that holds an op, or was settled. */
  last: number
}

/** Equal, or a finding. */
function counted(
  { stream }: Facts,
  code: "gap_count" | "dead_count" | "superseded_count" | "retained_ops" | "retained_bytes",
  found: number,
): Finding[] {
  if (stream[code] === found) return []
  return [finding(code, stream, `${code} is ${stream[code]}, ${found} are there`)]
}

function checkDead(facts: Facts): Finding[] {
  const { reader, first, end } = facts
  const undecided = reader.has("sturdy_dead_letter", "decision") ? "decision is null and" : ""
  const sql = `select count(*) as n from sturdy_dead_letter where ${undecided} seq > ? and seq < ?`
  return counted(facts, "dead_count", reader.count(sql, first, end))
}

function checkRemoval({ reader, stream }: Facts): Finding[] {
  const { stream_id, time_closed, time_removal, repeat_removal } = stream
  const found: Finding[] = []
  if (time_closed !== null && time_removal === null)
    found.push(finding("removal_order", stream, "it is closed, and its removal was never recorded"))
  if (repeat_removal !== 0 && time_closed === null)
    found.push(finding("removal_order", stream, "a removal is to be repeated that was not settled"))
  if (time_closed === null) return found
  for (const table of ["sturdy_capture", "sturdy_item"])
    if (reader.get(`select 1 from ${table} where stream_id = ? limit 1`, stream_id))
      found.push(finding("captures_of_closed", stream, `it is closed, and has rows in ${table}`))
  return found
}

function checkBatchIds({ reader, stream, first, end }: Facts): Finding[] {
  const rows = reader.all<{ batch_id: string; seq: number }>(
    `select batch_id, max(first_seq) as seq from sturdy_batch where first_seq > ? and first_seq < ?
     group by batch_id having count(*) > 1`,
    first,
    end,
  )
  return rows.map((row) => finding("batch_id_twice", stream, `two batches have the id ${row.batch_id}`, row))
}

function checkOrder({ stream, last }: Facts): Finding[] {
  const { pruned_seq, cursor, frozen_seq, stream_id, time_closed } = stream
  const places = `pruned_seq ${localSeq(pruned_seq)}, cursor ${localSeq(cursor)}, frozen_seq ${localSeq(frozen_seq)}`
  if (!isOrdered(stream))
    return [finding("cursor_order", stream, `${places} are not in order, or not of stream ${stream_id}`)]
  if (frozen_seq <= last || time_closed !== null) return []
  return [finding("cursor_order", stream, `${places}: the last op is at place ${localSeq(last)}`)]
}

function prunedChecks(): Check[] {
  const tables = { sturdy_op: "seq", sturdy_superseded: "seq", sturdy_result: "seq", sturdy_batch: "first_seq" }
  return Object.entries(tables).map(([table, seq]): Check => ({ reader, stream, first }) => {
    const sql = `select count(*) as n from ${table} where ${seq} > ? and ${seq} <= ?`
    const n = reader.count(sql, first, stream.pruned_seq)
    return n === 0 ? [] : [finding("below_pruned", stream, `${n} rows of ${table} lie below what was pruned`)]
  })
}

function checkEnds({ reader, stream, first, end }: Facts): Finding[] {
  const { cursor, frozen_seq, pruned_seq } = stream
  const found: Finding[] = []
  const { seq } = reader.get<{ seq: number | null }>(
    "select max(last_seq) as seq from sturdy_batch where first_seq > ? and first_seq < ?",
    first,
    end,
  )!
  if ((seq ?? pruned_seq) !== frozen_seq) {
    const what = `frozen_seq is ${localSeq(frozen_seq)}, the last batch ends at place ${localSeq(seq ?? pruned_seq)}`
    found.push(finding("frozen_seq", stream, what))
  }
  const open = reader.get<{ first_seq: number; last_seq: number; batch_id: string }>(
    "select first_seq, last_seq, batch_id from sturdy_batch where first_seq > ? and first_seq <= ? order by first_seq desc limit 1",
    first,
    cursor,
  )
  if (cursor !== pruned_seq && open?.last_seq !== cursor) {
    const what = `the cursor is at place ${localSeq(cursor)}, where no batch ends`
    found.push(finding("cursor_in_batch", stream, what, open && { batch_id: open.batch_id }))
  }
  return found
}

function checkRetained(facts: Facts): Finding[] {
  const { reader, stream } = facts
  const { pruned_seq, cursor, batch_count } = stream
  const ops = reader.count("select count(*) as n from sturdy_op where seq > ? and seq <= ?", pruned_seq, cursor)
  const { n, bytes } = reader.get<{ n: number; bytes: number }>(
    `select count(*) as n, coalesce(sum(bytes), 0) as bytes from sturdy_batch where first_seq > ? and last_seq <= ?
       and first_seq <= ?`,
    pruned_seq,
    cursor,
    cursor,
  )!
  const found = [...counted(facts, "retained_ops", ops), ...counted(facts, "retained_bytes", bytes)]
  if (batch_count < n)
    found.push(finding("batch_count", stream, `batch_count is ${batch_count}, ${n} settled batches are there`))
  return found
}

/** Their places have no op; the windows see to it that no other place has none. */
function checkReplaced(facts: Facts): Finding[] {
  const { reader, stream, first, end, last } = facts
  const { cursor, pruned_seq, time_closed, superseded_count } = stream
  const sql = "select count(*) as n from sturdy_superseded where by_op_id is not null and seq > ? and seq < ?"
  const found: Finding[] = []
  const isEmptied = time_closed !== null && last === cursor
  if (!isEmptied) found.push(...counted(facts, "gap_count", reader.count(sql, cursor, end)))
  const all = reader.count(sql, first, end)
  if (pruned_seq === first) found.push(...counted(facts, "superseded_count", all))
  else if (superseded_count < all || superseded_count > last - first)
    found.push(finding("superseded_count", stream, `superseded_count is ${superseded_count}, ${all} are there`))
  return found
}

function checkSettledOp({ reader, stream }: Facts): Finding[] {
  const { cursor, pruned_seq, settled_op_id, pruned_op_id } = stream
  if (cursor === pruned_seq) {
    if (settled_op_id === pruned_op_id) return []
    const what = `settled_op_id is ${settled_op_id}, pruned last was ${pruned_op_id}, and nothing was settled since`
    return [finding("settled_op_id", stream, what)]
  }
  const op = reader.opAt(cursor)
  // Told as lost.
  if (!op || nameOf(op.op_id) === settled_op_id) return []
  return [
    finding("settled_op_id", stream, `settled_op_id is ${settled_op_id}, the op at the cursor ${nameOf(op.op_id)}`, op),
  ]
}
