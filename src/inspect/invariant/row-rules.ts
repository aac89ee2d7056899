/** Rows that hang on others: streams, results, captures and items. */
import { endSeq, firstSeq, streamIdOf } from "../../store/stream.ts"
import { mayBeDiscarded, type OutboxReader } from "./outbox-reader.ts"
import { finding, placesText, type Finding } from "./rule.ts"

const rows_per_look = 5_000

const seqColumns = {
  sturdy_op: "seq",
  sturdy_batch: "first_seq",
  sturdy_dead_letter: "seq",
  sturdy_superseded: "seq",
  sturdy_result: "seq",
} as const

/** One look-up per stream and table, whatever they hold. In one read transaction. */
export function checkStreams(reader: OutboxReader): Finding[] {
  const known = new Set(reader.streamIds())
  const writers = reader.all<{ name: string; n: number }>(
    "select min(name) as name, count(*) as n from sturdy_stream group by writer_id having n > 1",
  )
  return [
    ...writers.map((row) => finding("writer_twice", row, `${row.n} streams have one writer_id, this one and others`)),
    ...Object.entries(seqColumns).flatMap(([table, seq]) => strayPlaces(reader, table, seq, known)),
    ...["sturdy_capture", "sturdy_item"].flatMap((table) => strayIds(reader, table, known)),
  ]
}

function strayPlaces(reader: OutboxReader, table: string, seq: string, known: ReadonlySet<number>): Finding[] {
  const found: Finding[] = []
  let row = reader.get<{ at: number | null }>(`select min(${seq}) as at from ${table}`)
  while (typeof row?.at === "number") {
    const stream_id = streamIdOf(row.at)
    // No op has the place 0.
    if (!known.has(stream_id) || row.at === firstSeq(stream_id))
      found.push(finding("stream_unknown", undefined, `${table} has a row at ${row.at}, which is in no stream`))
    row = reader.get(`select min(${seq}) as at from ${table} where ${seq} >= ?`, endSeq(stream_id))
  }
  return found
}

function strayIds(reader: OutboxReader, table: string, known: ReadonlySet<number>): Finding[] {
  const found: Finding[] = []
  let row = reader.get<{ at: number | null }>(`select min(stream_id) as at from ${table}`)
  while (typeof row?.at === "number") {
    if (!known.has(row.at))
      found.push(finding("stream_unknown", undefined, `${table} has rows of stream ${row.at}, which is not there`))
    row = reader.get(`select min(stream_id) as at from ${table} where stream_id > ?`, row.at)
  }
  return found
}

export interface Look {
  found: Finding[]
  count: number
  /** Where to go on; undefined at the end. */
  next: number | undefined
}

/** Results of one stream, some at a time. In one read transaction. */
export function checkResults(reader: OutboxReader, stream_id: number, after: number): Look {
  const from = Math.max(after, firstSeq(stream_id))
  const { to, count } = reader.get<{ to: number | null; count: number }>(
    `select max(seq) as "to", count(*) as count from
       (select seq from sturdy_result where seq > ? and seq < ? order by seq limit ${rows_per_look})`,
    from,
    endSeq(stream_id),
  )!
  const stream = reader.stream(stream_id)
  if (!stream || to === null) return { found: [], count: 0, next: undefined }
  const wrong = reader.all<{ seq: number; op: number }>(
    `select result.seq, op.seq is not null as op from sturdy_result result left join sturdy_op op on op.seq = result.seq
     where result.seq > ?1 and result.seq <= ?2 and (op.seq is null or result.seq > ?3) order by 1 limit 100`,
    from,
    to,
    stream.cursor,
  )
  const found = wrong.flatMap(({ seq, op }) => {
    const at = placesText(seq, seq)
    // What lies below what was pruned is told with the rest of it.
    if (op === 0 && seq > stream.pruned_seq && !mayBeDiscarded(stream, seq))
      return [finding("result_orphan", stream, `a result is kept at ${at}, and no op`, { seq })]
    if (op === 1 && stream.reset_count === 0)
      return [finding("result_unsettled", stream, `the op at ${at} is pending, and has a result`, { seq })]
    return []
  })
  return { found, count, next: count < rows_per_look ? undefined : to }
}

const idColumns = {
  sturdy_capture: { rule: "op_id is not null and (typeof(op_id) <> 'blob' or length(op_id) <> 16)", what: "capture" },
  sturdy_item: {
    rule: `typeof(op_id) <> 'blob' or length(op_id) <> 16 or typeof(first_op_id) <> 'blob' or length(first_op_id) <> 16
      or length(content_hash) <> 16`,
    what: "item",
  },
} as const

export const idTables = ["sturdy_capture", "sturdy_item"] as const

/** Captures or items of all streams, some at a time, by rowid. In one read transaction. */
export function checkIds(reader: OutboxReader, table: (typeof idTables)[number], after: number): Look {
  const { rule, what } = idColumns[table]
  const { to, count, wrong } = reader.get<{ to: number | null; count: number; wrong: number | null }>(
    `select max(at) as "to", count(*) as count, sum(wrong) as wrong from
       (select rowid as at, (${rule}) as wrong from ${table} where rowid > ? order by rowid limit ${rows_per_look})`,
    after,
  )!
  const found = wrong
    ? [finding("capture_damaged", undefined, `${wrong} ${what}s name an op by an id that is none`)]
    : []
  return { found, count, next: to === null || count < rows_per_look ? undefined : to }
}
