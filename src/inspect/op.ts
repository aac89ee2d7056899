/** One op with all that is known of it here. Read-only. */
import type { Database } from "bun:sqlite"
import { ulidFromBytes } from "../intent/ulid.ts"
import type { WireOp } from "../intent/op.ts"
import { idBlob, idsFromBlob } from "../store/id-blob.ts"
import { endSeq, firstSeq, localSeq, streamIdOf } from "../store/stream.ts"
import type { OpState } from "./ops.ts"

export interface OpDetail {
  op_id: string
  stream: string
  seq: number
  state: OpState
  /** What it calls, with what; null once only the note of its replacement is left. */
  call: Call | null
  /** Places of the unit that it was recorded with; null if it was recorded alone, or is not kept any more. */
  unit: { first_seq: number; last_seq: number } | null
  depends_on: Related[]
  /** Ops that depend on it, the first ones. */
  dependents: Related[]
  /** Ops that it replaced before they were sent. */
  supersedes: string[]
  superseded_by: string | null
  rejection: Rejection | null
  /** capnweb text of what the service returned; only for ops recorded with `wantResult`. */
  result: string | null
}

export interface Call {
  method: string
  target: (string | number)[] | null
  /** JSON text as it is sent. */
  args: string
  key: string | null
  actor_id: string | null
  schema_version: number
  want_result: boolean
  time_created: number
}

export interface Related {
  op_id: string
  /** Null if this outbox does not know it, or not any more. */
  seq: number | null
  method: string | null
  state: OpState | null
}

export interface Rejection {
  code: string
  message: string
  time_rejected: number
  decision: "retried" | "discarded" | null
  time_decided: number | null
  retried_op_id: string | null
}

interface OpRow {
  seq: number
  op_id: Uint8Array
  time_created: number
  continues: number | null
  want_result: number | null
  schema_version: number | null
  depends_on: Uint8Array | null
  supersedes: Uint8Array | null
  key: string | null
  target: string | null
  actor_id: string | null
  method: string
  args: string
}

interface DeadRow {
  code: string
  message: string
  op: string
  key: string | null
  time_created: number
  decision: Rejection["decision"]
  time_decided: number | null
  retried_op_id: Uint8Array | null
}

interface Standing {
  name: string
  cursor: number
  frozen_seq: number
  time_closed: number | null
}

/** At a global place of which an id was found. */
export function readOp(db: Database, op_id: string, seq: number): OpDetail {
  const stream_id = streamIdOf(seq)
  const row = db.prepare("select * from sturdy_op where seq = ?").get(seq) as OpRow | null
  const dead = db.prepare("select * from sturdy_dead_letter where seq = ?").get(seq) as DeadRow | null
  const replaced = db.prepare("select by_op_id from sturdy_superseded where seq = ?").get(seq) as {
    by_op_id: Uint8Array | null
  } | null
  const result = db.prepare("select result from sturdy_result where seq = ?").get(seq) as { result: string } | null
  const stream = standingOf(db, stream_id)
  const sent = dead && (JSON.parse(dead.op) as WireOp)
  const call = row ? callOfRow(row) : dead && callOfDead(sent!, dead)
  const depends_on = row?.depends_on ? idsFromBlob(row.depends_on) : (sent?.depends_on ?? [])
  return {
    op_id,
    stream: stream.name,
    seq: localSeq(seq),
    state: stateOf(stream, seq, { isKept: row !== null, isDead: dead !== null, isReplaced: replaced !== null }),
    call,
    unit: row && unitOf(db, stream_id, row),
    depends_on: relatedOf(db, stream_id, stream, depends_on),
    dependents: dependentsOf(db, stream_id, stream, op_id, seq),
    supersedes: row?.supersedes ? idsFromBlob(row.supersedes) : (sent?.supersedes ?? []),
    superseded_by: replaced?.by_op_id ? ulidFromBytes(replaced.by_op_id) : null,
    rejection: dead && rejectionOf(dead),
    result: result?.result ?? null,
  }
}

/** The tables that know of it. */
interface Traces {
  isKept: boolean
  isDead: boolean
  isReplaced: boolean
}

/** The rule of the view op_state. What was replaced before it was sent is kept no more, beyond the cursor too. */
function stateOf(stream: Standing, seq: number, { isKept, isDead, isReplaced }: Traces): OpState {
  if (seq > stream.cursor && (isKept || !isReplaced)) {
    if (stream.time_closed !== null) return "discarded"
    return seq > stream.frozen_seq ? "pending" : "in_flight"
  }
  return isDead ? "failed" : isReplaced ? "superseded" : "acked"
}

function standingOf(db: Database, stream_id: number): Standing {
  return db
    .prepare("select name, cursor, frozen_seq, time_closed from sturdy_stream where stream_id = ?")
    .get(stream_id) as Standing
}

function callOfRow(row: OpRow): Call {
  const { method, args, key, actor_id, time_created } = row
  return {
    method,
    target: row.target === null ? null : (JSON.parse(row.target) as Call["target"]),
    args,
    key,
    actor_id,
    schema_version: row.schema_version ?? 1,
    want_result: row.want_result !== null,
    time_created,
  }
}

function callOfDead(op: WireOp, { key }: DeadRow): Call {
  const { method, args, time_created, schema_version } = op
  return {
    method,
    target: op.target ?? null,
    args,
    key,
    actor_id: op.actor_id ?? null,
    schema_version,
    want_result: op.want_result ?? false,
    time_created,
  }
}

function rejectionOf({ code, message, time_created, decision, time_decided, retried_op_id }: DeadRow): Rejection {
  return {
    code,
    message,
    time_rejected: time_created,
    decision,
    time_decided,
    retried_op_id: retried_op_id ? ulidFromBytes(retried_op_id) : null,
  }
}

/** From the op that begins the unit to the one before the next that does. */
function unitOf(db: Database, stream_id: number, { seq }: OpRow): OpDetail["unit"] {
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

const placeSql = `select op_id, seq, method, 0 as dead, 0 as replaced from sturdy_op
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
  replaced: number
}

/** In the order asked for; in one look through the stream for all. */
export function relatedOf(db: Database, stream_id: number, stream: Standing, op_ids: readonly string[]): Related[] {
  if (op_ids.length === 0) return []
  const hex = JSON.stringify(op_ids.map((op_id) => Buffer.from(idBlob(op_id)).toString("hex")))
  const rows = db.prepare(placeSql).all(firstSeq(stream_id), endSeq(stream_id), hex) as PlaceRow[]
  return op_ids.map((op_id) => {
    const found = rows.filter((row) => ulidFromBytes(row.op_id) === op_id)
    const [first] = found
    if (!first) return { op_id, seq: null, method: null, state: null }
    const traces = {
      isKept: found.some((row) => row.dead === 0 && row.replaced === 0),
      isDead: found.some((row) => row.dead === 1),
      isReplaced: found.some((row) => row.replaced === 1),
    }
    const method = found.find((row) => row.method !== null)?.method ?? null
    return { op_id, seq: localSeq(first.seq), method, state: stateOf(stream, first.seq, traces) }
  })
}

const dependents_max = 20

function dependentsOf(db: Database, stream_id: number, stream: Standing, op_id: string, seq: number): Related[] {
  const id = idBlob(op_id)
  const kept = db.prepare(
    `select op_id, depends_on from sturdy_op where seq > ?1 and seq < ?2 and depends_on is not null
       and instr(depends_on, ?3) > 0 order by seq limit ?4`,
  )
  const dead = db.prepare(
    `select op_id from sturdy_dead_letter where seq > ?1 and seq < ?2 and exists (
       select 1 from json_each(op, '$.depends_on') where value = ?3) order by seq limit ?4`,
  )
  const end = endSeq(stream_id)
  const found = new Set<string>()
  for (const row of kept.all(seq, end, id, dependents_max) as { op_id: Uint8Array; depends_on: Uint8Array }[])
    // Found across the end of one id and the beginning of the next it would be none.
    if (idsFromBlob(row.depends_on).includes(op_id)) found.add(ulidFromBytes(row.op_id))
  for (const row of dead.all(seq, end, op_id, dependents_max) as { op_id: Uint8Array }[])
    found.add(ulidFromBytes(row.op_id))
  return relatedOf(db, stream_id, stream, [...found].slice(0, dependents_max)).toSorted(
    (a, b) => (a.seq ?? 0) - (b.seq ?? 0),
  )
}
