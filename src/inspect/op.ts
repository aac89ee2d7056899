/** One op with all that is known of it here, and of what hangs together with it. Read-only. */
import type { Database } from "bun:sqlite"
import { ulidFromBytes } from "../intent/ulid.ts"
import { idBlob, idsFromBlob } from "../store/id-blob.ts"
import { endSeq, firstSeq, localSeq, streamIdOf, type StreamRow } from "../store/stream.ts"
import { batchAt, type BatchSummary } from "./batches.ts"
import { type DeadRow, type KeptOp, type OpFacts, opFacts, type Rows, type SupersededRow } from "./op-facts.ts"
import { type OpState, opStateOf } from "./op-state.ts"

export interface OpDetail extends OpFacts {
  op_id: string
  stream: string
  state: OpState
  /** Null: not sealed into one yet, or not kept any more. */
  batch: BatchSummary | null
  /** Places of the unit that it was recorded with; null if it was recorded alone, or is not kept any more. */
  unit: { first_seq: number; last_seq: number } | null
  /** `depends_on`, looked up. */
  dependencies: Related[]
  /** Ops that depend on it, the first ones. */
  dependents: Related[]
  standing: Standing
}

export interface Related {
  op_id: string
  /** Null if this outbox does not know it, or not any more. */
  seq: number | null
  method: string | null
  state: OpState | null
}

/** How its stream stands, which decides when a pending op is sent. */
export type Standing = Pick<StreamRow, "attempts" | "next_attempt_at" | "last_error" | "block" | "block_message"> & {
  /** Places between the cursor and the op. */
  ahead: number
}

/** At a global place of which an id was found. */
export function readOp(db: Database, op_id: string, seq: number): OpDetail {
  const stream_id = streamIdOf(seq)
  const stream = db.prepare("select * from sturdy_stream where stream_id = ?").get(stream_id) as StreamRow
  const batch = batchAt(db, seq) ?? null
  const facts = opFacts(seq, stream_id, stream, rowsAt(db, seq, batch))
  return {
    ...facts,
    op_id,
    stream: stream.name,
    state: facts.state!,
    batch,
    unit: facts.continues === null ? null : unitOf(db, stream_id, seq),
    dependencies: relatedOf(db, stream, facts.depends_on),
    dependents: dependentsOf(db, stream, op_id, seq),
    standing: standingOf(stream, seq),
  }
}

function rowsAt(db: Database, seq: number, batch: BatchSummary | null): Rows {
  const at = <Row>(table: string) =>
    (db.prepare(`select * from ${table} where seq = ?`).get(seq) as Row | null) ?? undefined
  return {
    op: at<KeptOp>("sturdy_op"),
    dead: at<DeadRow>("sturdy_dead_letter"),
    superseded: at<SupersededRow>("sturdy_superseded"),
    result: at<{ result: string }>("sturdy_result")?.result ?? null,
    batch_id: batch?.batch_id ?? null,
  }
}

function standingOf(stream: StreamRow, seq: number): Standing {
  const { cursor, attempts, next_attempt_at, last_error, block, block_message } = stream
  return { ahead: Math.max(0, seq - cursor - 1), attempts, next_attempt_at, last_error, block, block_message }
}

/** From the op that begins the unit to the one before the next that does. */
function unitOf(db: Database, stream_id: number, seq: number): OpDetail["unit"] {
  const { first, last } = db
    .prepare(
      `select (select max(seq) from sturdy_op where seq <= ?1 and seq >= ?2 and continues is null) as first,
        coalesce((select max(seq) from sturdy_op where seq >= ?1 and seq <
          coalesce((select min(seq) from sturdy_op where seq > ?1 and seq < ?3 and continues is null), ?3)), ?1) as last`,
    )
    .get(seq, firstSeq(stream_id), endSeq(stream_id)) as { first: number | null; last: number }
  if (first === null || first === last) return null
  return { first_seq: localSeq(first), last_seq: localSeq(last) }
}

const placeSql = `select op_id, seq, method, 0 as dead, 0 as superseded from sturdy_op
    where op_id in (select unhex(value) from json_each(?3)) and seq > ?1 and seq < ?2
  union all select op_id, seq, json_extract(op, '$.method'), 1, 0 from sturdy_dead_letter
    where op_id in (select unhex(value) from json_each(?3)) and seq > ?1 and seq < ?2
  union all select op_id, seq, null, 0, 1 from sturdy_superseded
    where op_id in (select unhex(value) from json_each(?3)) and seq > ?1 and seq < ?2`

interface PlaceRow {
  op_id: Uint8Array
  seq: number
  method: string | null
  dead: number
  superseded: number
}

/** In the order asked for; in one look through the stream for all. */
function relatedOf(db: Database, stream: StreamRow, op_ids: readonly string[]): Related[] {
  if (op_ids.length === 0) return []
  const hex = JSON.stringify(op_ids.map((op_id) => Buffer.from(idBlob(op_id)).toString("hex")))
  const rows = db.prepare(placeSql).all(firstSeq(stream.stream_id), endSeq(stream.stream_id), hex) as PlaceRow[]
  return op_ids.map((op_id) => {
    const found = rows.filter((row) => ulidFromBytes(row.op_id) === op_id)
    const [first] = found
    if (!first) return { op_id, seq: null, method: null, state: null }
    const traces = {
      isKept: found.some((row) => row.dead === 0 && row.superseded === 0),
      isDead: found.some((row) => row.dead === 1),
      isSuperseded: found.some((row) => row.superseded === 1),
    }
    const method = found.find((row) => row.method !== null)?.method ?? null
    return { op_id, seq: localSeq(first.seq), method, state: opStateOf(first.seq, stream, traces) }
  })
}

const dependents_max = 20

function dependentsOf(db: Database, stream: StreamRow, op_id: string, seq: number): Related[] {
  const id = idBlob(op_id)
  const kept = db.prepare(
    `select op_id, depends_on from sturdy_op where seq > ?1 and seq < ?2 and depends_on is not null
       and instr(depends_on, ?3) > 0 order by seq limit ?4`,
  )
  const dead = db.prepare(
    `select op_id from sturdy_dead_letter where seq > ?1 and seq < ?2 and exists (
       select 1 from json_each(op, '$.depends_on') where value = ?3) order by seq limit ?4`,
  )
  const end = endSeq(stream.stream_id)
  const found = new Set<string>()
  for (const row of kept.all(seq, end, id, dependents_max) as { op_id: Uint8Array; depends_on: Uint8Array }[])
    // Found across the end of one id and the beginning of the next it would be none.
    if (idsFromBlob(row.depends_on).includes(op_id)) found.add(ulidFromBytes(row.op_id))
  for (const row of dead.all(seq, end, op_id, dependents_max) as { op_id: Uint8Array }[])
    found.add(ulidFromBytes(row.op_id))
  return relatedOf(db, stream, [...found].slice(0, dependents_max)).toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0))
}
