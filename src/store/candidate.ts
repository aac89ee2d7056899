/**
 * Which unfrozen op a newer op of the same key may replace. In memory, read from the database as it grows, so that the
 * hot path needs no text index.
 *
 * An op is never replaced if an op depends on it or on one that it superseded (the newer one included): the dependent
 * would be decided before the op that names its dependency in `supersedes`, and be rejected for no reason
 * (ARCHITECTURE.md, decisions). Nor if it belongs to a unit of several ops, is frozen, or lists `supersedes_max`.
 */
import type { Statement } from "bun:sqlite"
import * as limit from "../intent/limit.ts"
import type { Connection } from "./connection.ts"
import { idsFromBlob, idText } from "./id-blob.ts"
import { endSeq } from "./stream.ts"

export interface Candidate {
  seq: number
  op_id: string
  key: string
  supersedes: string[]
}

interface Row {
  seq: number
  op_id: Uint8Array
  key: string | null
  continues: number | null
  depends_on: Uint8Array | null
  supersedes: Uint8Array | null
}

/** Unfrozen ops looked at when a stream is first keyed, and keys remembered: older ops are simply not replaced. */
const scan_max = 10_000

interface Known {
  readTo: number
  /** The candidate read last: the next op may turn out to continue its unit. */
  last: Candidate | undefined
  byKey: Map<string, Candidate>
  /** Every op_id that stands for a candidate: its own and those it superseded. */
  byId: Map<string, Candidate>
}

export class Candidates {
  readonly #streams = new Map<number, Known>()
  readonly #rows: Statement<Row>

  constructor(connection: Connection) {
    this.#rows = connection.db.prepare(
      `select seq, op_id, key, continues, depends_on, supersedes from sturdy_op
       where seq > ? and seq < ? order by seq`,
    )
  }

  /** The op that a new op with this key may replace. Call inside the recording transaction. */
  replaceable(
    stream: { stream_id: number; frozen_seq: number },
    last_seq: number,
    key: string,
    depends_on: readonly string[],
  ): Candidate | undefined {
    const { stream_id, frozen_seq } = stream
    const known = this.#read(stream_id, Math.max(frozen_seq, last_seq - scan_max))
    const candidate = known.byKey.get(key)
    if (!candidate || candidate.seq <= frozen_seq) return
    if (candidate.supersedes.length >= limit.supersedes_max) return
    if (depends_on.some((op_id) => known.byId.get(op_id) === candidate)) return
    return candidate
  }

  /** Forget what was read: after a rollback, or a transaction of the host's that may still roll back. */
  forget(): void {
    this.#streams.clear()
  }

  #read(stream_id: number, from_seq: number): Known {
    const known = this.#streams.get(stream_id) ?? { readTo: 0, last: undefined, byKey: new Map(), byId: new Map() }
    this.#streams.set(stream_id, known)
    // What lies between was not read, and it may depend on what we know or have replaced it.
    const skipped = known.readTo > 0 && known.readTo < from_seq
    if (skipped || known.byKey.size > scan_max) {
      known.byKey.clear()
      known.byId.clear()
      known.last = undefined
    }
    for (const row of this.#rows.all(Math.max(known.readTo, from_seq), endSeq(stream_id))) add(known, row)
    return known
  }
}

function add(known: Known, row: Row): void {
  known.readTo = row.seq
  const supersedes = row.supersedes ? idsFromBlob(row.supersedes) : []
  for (const op_id of row.depends_on ? idsFromBlob(row.depends_on) : []) drop(known, known.byId.get(op_id))
  for (const op_id of supersedes) drop(known, known.byId.get(op_id))
  if (row.continues) drop(known, known.last)
  known.last = undefined
  if (row.key === null) return
  // An op of a unit stands between: what is older than it keeps its place.
  if (row.continues) return drop(known, known.byKey.get(row.key))
  const candidate: Candidate = { seq: row.seq, op_id: idText(row.op_id), key: row.key, supersedes }
  known.byKey.set(row.key, candidate)
  for (const op_id of [candidate.op_id, ...supersedes]) known.byId.set(op_id, candidate)
  known.last = candidate
}

function drop(known: Known, candidate: Candidate | undefined): void {
  if (!candidate) return
  if (known.byKey.get(candidate.key) === candidate) known.byKey.delete(candidate.key)
  for (const op_id of [candidate.op_id, ...candidate.supersedes]) known.byId.delete(op_id)
}
