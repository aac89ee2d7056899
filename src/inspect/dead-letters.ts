/** What the service rejected for good, of all streams, in pages; and what hangs on one of them. Read-only. */
import type { Database } from "bun:sqlite"
import { systemSeams } from "../intent/system.ts"
import { ulidFromBytes } from "../intent/ulid.ts"
import { Connection } from "../store/connection.ts"
import type { Decision } from "../store/dead-graph.ts"
import { DeadLetterRows } from "../store/dead-letter-row.ts"
import { localSeq, streamIdOf } from "../store/stream.ts"
import { columnsOf } from "./column.ts"
import { globOf } from "./name-pattern.ts"

export interface DeadLetterSummary {
  op_id: string
  stream: string
  seq: number
  method: string
  key: string | null
  /** The service's word. */
  code: string
  message: string
  depends_on: string[]
  bytes: number
  time_created: number
  time_rejected: number
  decision: Decision | null
  time_decided: number | null
  /** The new op that a retry recorded for it. */
  retried_op_id: string | null
}

export interface DeadLettersPage {
  letters: DeadLetterSummary[]
  /** Pass as `after` for the next page; null at the end. */
  next: number | null
}

export interface DeadLettersFilter {
  /** `*` stands for any text. */
  stream?: string | undefined
  code?: string | undefined
  /** Those too about which somebody has decided, as long as they are kept. */
  decided?: boolean
  /** Global place after which to begin. */
  after?: number | undefined
  limit: number
}

interface Row {
  seq: number
  op_id: Uint8Array
  stream: string
  method: string
  key: string | null
  code: string
  message: string
  depends_on: string
  bytes: number
  time_created: number
  time_rejected: number
  decision: Decision | null
  time_decided: number | null
  retried_op_id: Uint8Array | null
}

function pageSql(db: Database): string {
  const columns = columnsOf(db, table)
  const known = (name: string) => (columns.has(name) ? name : "null")
  return `select dead.seq, dead.op_id, stream.name as stream, json_extract(op, '$.method') as method, code, message,
      json_extract(op, '$.depends_on') as depends_on, length(cast(json_extract(op, '$.args') as blob)) as bytes,
      json_extract(op, '$.time_created') as time_created, dead.time_created as time_rejected, ${known("key")} as key,
      ${known("decision")} as decision, ${known("time_decided")} as time_decided, ${known("retried_op_id")} as retried_op_id
    from ${table} dead join sturdy_stream stream on stream.stream_id = dead.seq >> 32
    where dead.seq > ?1 and (?2 is null or stream.name glob ?2) and (?3 is null or code = ?3)
      and (?4 or ${known("decision")} is null)
    order by dead.seq limit ?5`
}

const table = "sturdy_dead_letter"

/** Oldest first, stream by stream. */
export function readDeadLetters(db: Database, filter: DeadLettersFilter): DeadLettersPage {
  const { stream, code = null, decided = false, after = 0, limit } = filter
  const glob = stream === undefined ? null : globOf(stream)
  const rows = db.prepare(pageSql(db)).all(after, glob, code, decided ? 1 : 0, limit) as Row[]
  const letters = rows.map(({ op_id, seq, depends_on, retried_op_id, ...row }) => ({
    ...row,
    op_id: ulidFromBytes(op_id),
    seq: localSeq(seq),
    depends_on: JSON.parse(depends_on) as string[],
    retried_op_id: retried_op_id ? ulidFromBytes(retried_op_id) : null,
  }))
  return { letters, next: rows.length === limit ? rows.at(-1)!.seq : null }
}

/** What goes with an undecided dead letter when it is recorded again, and when it is given up: the op_ids, its own first. */
export interface Hanging {
  retried: string[]
  discarded: string[]
}

/** Undefined if it is no dead letter, was decided, or the file is of a Sturdy without decisions. `seq` is its global place. */
export function hangingOn(db: Database, op_id: string, seq: number): Hanging | undefined {
  if (!columnsOf(db, table).has("decision")) return
  const graph = new DeadLetterRows(new Connection(db, systemSeams, undefined)).graph(streamIdOf(seq))
  const node = graph.lookup.letter(op_id)
  if (!node || node.decision !== undefined) return
  const ids = (nodes: { op_id: string }[]) => nodes.map((each) => each.op_id)
  return { retried: ids(graph.retriedWith(node)), discarded: ids(graph.discardedWith(node)) }
}
