/**
 * Recording: one transaction writes a unit, or nothing. When it returns, the ops survive the death of the process.
 *
 * In it, in this order: what was captured before is skipped; dependencies by key are looked up; what did not change is
 * skipped; sizes are checked; an unfrozen op of the same key is replaced; ops, captures, items and bookmark are written.
 */
import type { Statement } from "bun:sqlite"
import { assert, SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import { batch_envelope_bytes, opBytes, type WireOp } from "../intent/op.ts"
import { Candidates } from "./candidate.ts"
import { Captures, type Bookmark } from "./capture.ts"
import type { Connection } from "./connection.ts"
import { idBlob, idsToBlob } from "./id-blob.ts"
import { wireOp, type NewOp } from "./new-op.ts"
import { checksumOf, type StoredOp } from "./op-row.ts"
import { Quota } from "./quota.ts"
import { endSeq, localSeq, type StreamRow } from "./stream.ts"

export interface RecordedOp {
  /** The op that stands for what was asked: an earlier one if it was captured before or did not change. */
  op_id: string
  /** Place of an op that was written now; undefined if an earlier one stands for it. */
  seq: number | undefined
  superseded_op_id: string | undefined
}

/** What recording must know of its stream: read in every transaction, so no more than that. */
type RecordRow = Pick<
  StreamRow,
  "stream_id" | "name" | "cursor" | "frozen_seq" | "time_removal" | "batch_ops_max" | "batch_bytes_max" | "op_bytes_max"
> & { last_seq: number | null }

export class Recorder {
  readonly #candidates: Candidates
  readonly captures: Captures
  readonly #quota: Quota
  readonly #insert: Statement
  readonly #replaceOp: Statement
  readonly #insertSuperseded: Statement
  readonly #countSuperseded: Statement
  readonly #superseded: Statement<{ found: number }>
  readonly #stream: Statement<RecordRow>

  constructor(
    readonly connection: Connection,
    outbox_bytes_max: number = limit.outbox_bytes_max,
    makeRoom: () => void = () => {},
  ) {
    const { db } = connection
    this.#candidates = new Candidates(connection)
    this.captures = new Captures(connection)
    this.#quota = new Quota(connection, outbox_bytes_max, makeRoom)
    this.#insert = db.prepare(
      `insert into sturdy_op (seq, op_id, time_created, continues, want_result, schema_version, depends_on, supersedes,
         key, target, actor_id, method, args, checksum) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#replaceOp = db.prepare("delete from sturdy_op where seq = ?")
    this.#insertSuperseded = db.prepare("insert into sturdy_superseded (seq, op_id, by_op_id) values (?, ?, ?)")
    this.#countSuperseded = db.prepare(
      "update sturdy_stream set gap_count = gap_count + 1, superseded_count = superseded_count + 1 where stream_id = ?",
    )
    this.#stream = db.prepare(
      `select stream_id, name, cursor, frozen_seq, time_removal, batch_ops_max, batch_bytes_max, op_bytes_max,
         (select max(seq) from sturdy_op where seq >= ?1 << 32 and seq < (?1 + 1) << 32) as last_seq
       from sturdy_stream where stream_id = ?1`,
    )
    this.#superseded = db.prepare("select 1 as found from sturdy_superseded where op_id = ?")
  }

  /**
   * Records the ops as one unit of the stream, all or none.
   *
   * @throws SturdyError `stream_closed`, `op_too_large`, `unit_too_large`, `outbox_full`, `reference_superseded`,
   *   `busy`, `disk_full`, `storage_fault`, `database_corrupt`, `database_moved`; nothing was written unless `indeterminate`.
   */
  record(stream_id: number, unit: readonly NewOp[], bookmark?: Bookmark): RecordedOp[] {
    const { insideHost } = this.connection
    if (insideHost) this.#candidates.forget()
    let recorded = false
    try {
      const ops = this.connection.write("record", () => this.#write(stream_id, unit, bookmark))
      recorded = true
      return ops
    } finally {
      // What was read in it is not there any more after a rollback, the host's too.
      if (insideHost || !recorded) this.#candidates.forget()
    }
  }

  /** After `outbox_full`: would what was refused be taken now? What is kept but not pending is given up for it. */
  hasRoom(): boolean {
    return this.connection.transact("make room", () => this.#quota.hasRoom())
  }

  /** Moves a bookmark where nothing had to be recorded. */
  recordBookmark(bookmark: Bookmark): void {
    this.connection.write("record", () => this.captures.moveBookmark(bookmark))
  }

  /**
   * Writes each op as a unit of its own, in place of the dead letter `of`. Inside the retrying transaction.
   *
   * @throws SturdyError as `record`.
   */
  append(stream_id: number, ops: readonly { op: NewOp; of: string }[]): void {
    const stream = this.#openStream(stream_id)
    const wire = ops.map(({ op }) => wireOp({ ...op, supersedes: [] }))
    wire.forEach((op, index) => checkSizes(stream, [op], () => `${op.method}, dead letter ${ops[index]!.of},`))
    this.#quota.check(wire)
    let seq = Math.max(stream.last_seq ?? 0, stream.cursor)
    for (const { op } of ops) {
      for (const op_id of op.references) this.#refuseSuperseded(stream, op_id)
      this.#insertOp(++seq, op, false, [])
    }
    refuseOverflow(stream, seq)
  }

  #openStream(stream_id: number): RecordRow {
    const stream = this.#stream.get(stream_id)
    assert(stream, `stream ${stream_id} is gone: streams are never deleted`)
    if (stream.time_removal === null) return stream
    throw new SturdyError(
      "stream_closed",
      `stream ${stream.name}: its share is being removed, nothing can be recorded after that`,
      "Share again under a new name: a new share has a new id, writer and stream.",
    )
  }

  #write(stream_id: number, unit: readonly NewOp[], bookmark: Bookmark | undefined): RecordedOp[] {
    const stream = this.#openStream(stream_id)
    if (bookmark) this.captures.moveBookmark(bookmark)
    const resolved = this.captures.resolve(stream_id, unit)
    const fresh = resolved.flatMap((op) => (op.fresh ? [op.fresh] : []))
    const wire = fresh.map((op) => wireOp({ ...op, supersedes: [] }))
    checkSizes(stream, wire)
    // Settled ops may be pruned, and then the cursor knows what was given last.
    let seq = Math.max(stream.last_seq ?? 0, stream.cursor)
    this.#quota.check(wire)
    const replaced = new Map<string, string>()
    const places = new Map<string, number>()
    fresh.forEach((op, index) => {
      for (const op_id of op.references) this.#refuseSuperseded(stream, op_id)
      const older = fresh.length === 1 && op.key !== undefined ? this.#replace(stream, seq, op) : undefined
      if (older) replaced.set(op.op_id, older.op_id)
      seq += 1
      places.set(op.op_id, seq)
      this.#insertOp(seq, op, index > 0, older ? [older.op_id, ...older.supersedes] : [])
    })
    refuseOverflow(stream, seq)
    return resolved.map(({ op_id }) => ({
      op_id,
      seq: places.get(op_id),
      superseded_op_id: replaced.get(op_id),
    }))
  }

  #insertOp(seq: number, op: NewOp, continues: boolean, supersedes: string[]): void {
    const row: StoredOp = {
      seq,
      op_id: idBlob(op.op_id),
      time_created: op.time_created,
      continues: continues ? 1 : null,
      want_result: op.want_result ? 1 : null,
      schema_version: op.schema_version === 1 ? null : op.schema_version,
      depends_on: idsToBlob(op.depends_on),
      supersedes: idsToBlob(supersedes),
      target: op.target ? JSON.stringify(op.target) : null,
      actor_id: op.actor_id ?? null,
      method: op.method,
      args: op.args,
    }
    this.#insert.run(
      row.seq,
      row.op_id,
      row.time_created,
      row.continues,
      row.want_result,
      row.schema_version,
      row.depends_on,
      row.supersedes,
      op.key ?? null,
      row.target,
      row.actor_id,
      row.method,
      row.args,
      checksumOf(row),
    )
  }

  #replace(stream: RecordRow, last_seq: number, op: NewOp) {
    const older = this.#candidates.replaceable(stream, last_seq, op.key!, op.depends_on)
    if (!older) return
    const { changes } = this.#replaceOp.run(older.seq)
    assert(changes === 1, `op ${older.op_id} is to be replaced and is not there: seq ${older.seq}`)
    this.#insertSuperseded.run(older.seq, idBlob(older.op_id), idBlob(op.op_id))
    this.#countSuperseded.run(stream.stream_id)
    return older
  }

  #refuseSuperseded(stream: RecordRow, op_id: string): void {
    if (!this.#superseded.get(idBlob(op_id))) return
    throw new SturdyError(
      "reference_superseded",
      `stream ${stream.name}: the arguments refer to the result of op ${op_id}, which a newer op replaced`,
      "Refer to the newer op of that key, or record the older one without a key.",
    )
  }
}

function refuseOverflow({ stream_id, name }: RecordRow, seq: number): void {
  if (seq >= endSeq(stream_id)) throw new RangeError(`stream ${name} is full after ${localSeq(seq)} ops`)
}

// `supersedes` may be added to any keyed op, so its full list counts from the start.
const supersedes_bytes = limit.supersedes_max * 29 + 20

function checkSizes(stream: RecordRow, unit: readonly WireOp[], nameOf = ({ method }: WireOp) => method): void {
  const op_max = stream.op_bytes_max ?? limit.op_bytes_max
  const unit_max = stream.batch_bytes_max ?? limit.batch_bytes_max
  const count_max = stream.batch_ops_max ?? limit.batch_ops_max
  let total = batch_envelope_bytes
  for (const op of unit) {
    const size = opBytes(op) + supersedes_bytes
    if (size > op_max)
      throw new SturdyError(
        "op_too_large",
        `stream ${stream.name}: ${nameOf(op)} has ${size} bytes, the limit is ${op_max}; nothing was written`,
        "Send large content elsewhere and record a reference to it, or split it into several ops.",
      )
    total += size + 1
  }
  if (total > unit_max || unit.length > count_max)
    throw new SturdyError(
      "unit_too_large",
      `stream ${stream.name}: a unit of ${unit.length} ops and ${total} bytes; the limits are ${count_max} ops and ${unit_max} bytes; nothing was written`,
      "Record fewer ops in one unit: a unit is decided by the server in one transaction.",
    )
}
