/** All that is known of one op by itself, from whichever tables have it. */
import type { WireOp } from "../intent/op.ts"
import type { Decision } from "../store/dead-graph.ts"
import { idsFromBlob, idText } from "../store/id-blob.ts"
import { isWhole, type OpRow } from "../store/op-row.ts"
import { localSeq, type StreamRow } from "../store/stream.ts"
import { type OpState, opStateOf } from "./op-state.ts"

export interface OpFacts {
  /** Null if it cannot be read. */
  op_id: string | null
  /** Null: the row of its stream cannot be read. */
  stream: string | null
  stream_id: number
  /** Place in the stream, from 1. */
  seq: number
  /** Null: not to be told without its stream. */
  state: OpState | null
  /** It is what was recorded, as far as its checksum tells; null: its row is not kept. */
  whole: boolean | null
  /** It belongs to the unit of the op before it; null: its row is not kept. */
  continues: boolean | null
  batch_id: string | null
  method: string | null
  target: (string | number)[] | null
  /** JSON text as it is sent; null once only the note of its replacement is left. */
  args: string | null
  /** Of `args`, in UTF-8. */
  bytes: number
  key: string | null
  actor_id: string | null
  schema_version: number
  want_result: boolean
  depends_on: string[]
  supersedes: string[]
  superseded_by: string | null
  /** When it was recorded, ms since the epoch. */
  time_created: number | null
  /** capnweb text of what the service returned; only for ops recorded with `wantResult`. */
  result: string | null
  rejection: Rejection | null
}

/** Times in ms since the epoch. */
export interface Rejection {
  /** The service's word, and its message. */
  code: string
  message: string
  time_rejected: number
  decision: Decision | null
  time_decided: number | null
  /** The new op that a retry recorded for it. */
  retried_op_id: string | null
}

export interface KeptOp extends OpRow {
  key: string | null
}

export interface DeadRow {
  seq: number
  op_id: Uint8Array
  code: string
  message: string
  op: string
  time_created: number
  key: string | null
  decision: Decision | null
  time_decided: number | null
  retried_op_id: Uint8Array | null
}

export interface SupersededRow {
  seq: number
  op_id: Uint8Array
  by_op_id: Uint8Array | null
}

/** The rows of one place; one of the first three is there. */
export interface Rows {
  op: KeptOp | undefined
  dead: DeadRow | undefined
  superseded: SupersededRow | undefined
  result: string | null
  batch_id: string | null
}

/** Damaged rows too: what of them makes no sense is left out. `seq` is its global place. */
export function opFacts(seq: number, stream_id: number, stream: StreamRow | undefined, rows: Rows): OpFacts {
  const { op, dead, superseded, result, batch_id } = rows
  const call = op ? ofRow(op) : ofLetter(dead)
  const id = op?.op_id ?? dead?.op_id ?? superseded?.op_id
  return {
    op_id: orNull(() => idText(id!)),
    stream: stream?.name ?? null,
    stream_id,
    seq: localSeq(seq),
    state: stream ? opStateOf(seq, stream, { isKept: !!op, isDead: !!dead, isSuperseded: !!superseded }) : null,
    whole: op ? isWhole(op) : null,
    continues: op ? op.continues !== null : null,
    batch_id,
    key: textOf(op?.key ?? dead?.key),
    ...call,
    superseded_by: orNull(() => idText(superseded!.by_op_id!)),
    result,
    rejection: dead ? rejectionOf(dead) : null,
  }
}

type Call = Pick<
  OpFacts,
  | "method"
  | "target"
  | "args"
  | "bytes"
  | "actor_id"
  | "schema_version"
  | "want_result"
  | "depends_on"
  | "supersedes"
  | "time_created"
>

function ofRow(row: OpRow): Call {
  const { method, args, actor_id, schema_version, want_result, time_created } = row
  return {
    method: textOf(method),
    target: orNull(() => JSON.parse(row.target!) as Call["target"]),
    args: textOf(args),
    bytes: orNull(() => Buffer.byteLength(args)) ?? 0,
    actor_id: textOf(actor_id),
    schema_version: numberOf(schema_version) ?? 1,
    want_result: want_result !== null,
    depends_on: orNull(() => idsFromBlob(row.depends_on!)) ?? [],
    supersedes: orNull(() => idsFromBlob(row.supersedes!)) ?? [],
    time_created: numberOf(time_created),
  }
}

function ofLetter(dead: DeadRow | undefined): Call {
  const op = dead && orNull(() => JSON.parse(dead.op) as WireOp)
  return {
    method: op?.method ?? null,
    target: op?.target ?? null,
    args: op?.args ?? null,
    bytes: orNull(() => Buffer.byteLength(op!.args)) ?? 0,
    actor_id: op?.actor_id ?? null,
    schema_version: op?.schema_version ?? 1,
    want_result: op?.want_result ?? false,
    depends_on: op?.depends_on ?? [],
    supersedes: op?.supersedes ?? [],
    time_created: op?.time_created ?? null,
  }
}

function rejectionOf({ code, message, time_created, decision, time_decided, retried_op_id }: DeadRow): Rejection {
  return {
    code,
    message,
    time_rejected: numberOf(time_created) ?? 0,
    decision: decision ?? null,
    time_decided: numberOf(time_decided),
    retried_op_id: orNull(() => idText(retried_op_id!)),
  }
}

/** One bit makes a text a blob of the same bytes. */
function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : value instanceof Uint8Array ? Buffer.from(value).toString() : null
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null
}

/** What is not there, or makes no sense, is null. */
function orNull<T>(read: () => T): T | null {
  try {
    return read() ?? null
  } catch {
    return null
  }
}
