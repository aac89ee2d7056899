/**
 * Freezing: the batches of the next POST, committed as such before the first byte is sent. From then on their ops are
 * never coalesced, edited, reordered or discarded, so that every attempt sends the same text.
 */
import type { Statement } from "bun:sqlite"
import { sealBatches, type Sealable } from "../intent/batch.ts"
import { assert } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import { batch_envelope_bytes, opBytes, type WireOp } from "../intent/op.ts"
import type { UlidFactory } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"
import type { Lease } from "./lease.ts"
import { prepareOps, wireOfRow, type OpRow } from "./op-row.ts"
import { endSeq, type StreamRow, type Streams } from "./stream.ts"

/** Ops read in one step: of the largest ones, 64 MiB beyond the window. */
const read_ops = 16

interface BatchRow {
  batch_id: string
  first_seq: number
  last_seq: number
  op_count: number
  bytes: number
}

export interface FrozenBatch extends BatchRow {
  ops: WireOp[]
  /** Place of each op, as `ops`. */
  seqs: number[]
  /** Ops of each unit, in order: a batch is cut between them only. */
  units: number[]
}

/** What one POST carries for one stream. */
export interface Shipment {
  stream: StreamRow
  batches: FrozenBatch[]
  /** Those of them that were frozen now. */
  sealed: FrozenBatch[]
}

export interface Window {
  batches_max: number
  bytes_max: number
  /** New batches are sealed at this many bytes, if it is less than what the grant allows. */
  seal_bytes_max?: number
}

interface SizedOp extends Sealable {
  seq: number
  wire: WireOp
}

export class Freezer {
  readonly #ops: Statement<OpRow, [number, number, number]>
  readonly #frozen: Statement<BatchRow>
  readonly #insertBatch: Statement
  readonly #deleteBatch: Statement
  readonly #moveFrozen: Statement

  constructor(
    readonly connection: Connection,
    readonly streams: Streams,
    readonly lease: Lease,
    readonly ulid: UlidFactory,
  ) {
    const { db } = connection
    this.#ops = prepareOps(connection)
    this.#frozen = db.prepare(
      `select first_seq, last_seq, batch_id, op_count, bytes from sturdy_batch
       where first_seq > ? and first_seq < ? order by first_seq limit ?`,
    )
    this.#insertBatch = db.prepare(
      "insert into sturdy_batch (first_seq, last_seq, batch_id, op_count, bytes, time_frozen) values (?, ?, ?, ?, ?, ?)",
    )
    this.#deleteBatch = db.prepare("delete from sturdy_batch where first_seq = ? and batch_id = ?")
    this.#moveFrozen = db.prepare("update sturdy_stream set frozen_seq = ? where stream_id = ?")
  }

  /**
   * Batches frozen before and not settled, then new ones, as many as the window takes. Undefined if the lease was lost.
   * After a removal was recorded, none: no batch is sent after it.
   */
  freeze(term: number, stream_id: number, windowOf: (stream: StreamRow) => Window): Shipment | undefined {
    this.connection.assertAlone("freeze")
    return this.connection.transact("freeze", () => {
      if (!this.lease.isHeld(term)) return
      const stream = this.streams.get(stream_id)
      if (stream.time_removal !== null) return { stream, batches: [], sealed: [] }
      const window = windowOf(stream)
      const frozen = this.#frozenBatches(stream, window)
      // One that is frozen and did not fit comes before every new one.
      const next = (frozen.at(-1)?.last_seq ?? stream.cursor) === stream.frozen_seq
      const bytes = frozen.reduce((sum, batch) => sum + batch.bytes, 0)
      const room = {
        ...window,
        batches_max: window.batches_max - frozen.length,
        bytes_max: window.bytes_max - bytes,
      }
      const sealed = next && room.batches_max > 0 && room.bytes_max > 0 ? this.#sealNew(stream, room) : []
      const frozen_seq = sealed.at(-1)?.last_seq ?? stream.frozen_seq
      return { stream: { ...stream, frozen_seq }, batches: [...frozen, ...sealed], sealed }
    })
  }

  /**
   * Splits a frozen batch between two of its units, near the middle of its bytes, into two with ids of their own; the
   * text of the ops stays. False if the lease was lost.
   */
  cut(term: number, batch: FrozenBatch): boolean {
    this.connection.assertAlone("cut batch")
    return this.connection.transact("cut batch", () => {
      if (!this.lease.isHeld(term)) return false
      const { changes } = this.#deleteBatch.run(batch.first_seq, batch.batch_id)
      assert(changes === 1, `batch ${batch.batch_id} is to be cut and is not there`)
      const { left, right } = halves(batch)
      for (const half of [left, right]) this.#insert(half, this.ulid())
      return true
    })
  }

  #frozenBatches(stream: StreamRow, window: Window): FrozenBatch[] {
    const rows = this.#frozen.all(stream.cursor, endSeq(stream.stream_id), window.batches_max)
    const batches: FrozenBatch[] = []
    let bytes = 0
    for (const row of rows) {
      bytes += row.bytes
      if (batches.length > 0 && bytes > window.bytes_max) break
      const ops = this.#ops.all(row.first_seq - 1, row.last_seq, row.op_count + 1)
      assert(
        ops.length === row.op_count,
        `batch ${row.batch_id} was frozen with ${row.op_count} ops and now has ${ops.length}`,
      )
      batches.push({
        ...row,
        ops: ops.map((row) => wireOfRow(row, stream)),
        seqs: ops.map((op) => op.seq),
        units: unitLengths(ops.map((op) => op.continues !== null)),
      })
    }
    return batches
  }

  #sealNew(stream: StreamRow, room: Window): FrozenBatch[] {
    const limits = {
      ops_max: Math.min(limit.batch_ops_max, stream.batch_ops_max ?? limit.batch_ops_max),
      bytes_max: Math.min(
        room.seal_bytes_max ?? limit.batch_seal_bytes,
        stream.batch_bytes_max ?? limit.batch_seal_bytes,
      ),
    }
    const { ops, complete } = this.#readNew(stream, room, limits.ops_max)
    const batches: FrozenBatch[] = []
    let at = 0
    let bytes = 0
    for (const length of sealBatches(ops, limits, complete).slice(0, room.batches_max)) {
      const sealed = ops.slice(at, at + length)
      const batch = this.#batchOf(sealed)
      bytes += batch.bytes
      // The first batch always goes: it was checked against the limits when it was recorded.
      if (batches.length > 0 && bytes > room.bytes_max) break
      batches.push(batch)
      at += length
    }
    for (const batch of batches) this.#insert(batch, batch.batch_id)
    if (batches.length) this.#moveFrozen.run(batches.at(-1)!.last_seq, stream.stream_id)
    return batches
  }

  /** Unfrozen ops for the window, read in steps so that a large unit cannot pull a million rows into memory. */
  #readNew(stream: StreamRow, room: Window, ops_max: number): { ops: SizedOp[]; complete: boolean } {
    const ops: SizedOp[] = []
    let bytes = 0
    let from = stream.frozen_seq
    for (;;) {
      const rows = this.#ops.all(from, endSeq(stream.stream_id) - 1, read_ops)
      for (const row of rows) {
        const wire = wireOfRow(row, stream)
        const size = opBytes(wire)
        ops.push({ seq: row.seq, wire, bytes: size, continues: row.continues !== null })
        bytes += size
      }
      if (rows.length < read_ops) return { ops, complete: true }
      from = rows.at(-1)!.seq
      // One batch more than the window, so that the last unit of the window is known to be whole.
      const enough = ops.length > room.batches_max * ops_max || bytes > room.bytes_max
      if (enough && sealBatches(ops, { ops_max, bytes_max: limit.batch_seal_bytes }, false).length > 0)
        return { ops, complete: false }
    }
  }

  #insert({ first_seq, last_seq, op_count, bytes }: Omit<BatchRow, "batch_id">, batch_id: string): void {
    const now = this.connection.seams.clock.now()
    this.#insertBatch.run(first_seq, last_seq, batch_id, op_count, bytes, now)
  }

  #batchOf(sealed: readonly SizedOp[]): FrozenBatch {
    return {
      batch_id: this.ulid(),
      first_seq: sealed[0]!.seq,
      last_seq: sealed.at(-1)!.seq,
      op_count: sealed.length,
      bytes: sealed.reduce((sum, op) => sum + op.bytes + 1, batch_envelope_bytes),
      ops: sealed.map((op) => op.wire),
      seqs: sealed.map((op) => op.seq),
      units: unitLengths(sealed.map((op) => op.continues)),
    }
  }
}

function unitLengths(continues: readonly boolean[]): number[] {
  const lengths: number[] = []
  for (const goesOn of continues)
    if (goesOn && lengths.length > 0) lengths[lengths.length - 1]! += 1
    else lengths.push(1)
  return lengths
}

/** Of a batch of several units: the left one ends at the unit that crosses the middle of the bytes, or before it. */
function halves({ ops, seqs, units }: FrozenBatch): Record<"left" | "right", Omit<BatchRow, "batch_id">> {
  assert(units.length > 1, "a unit is never split")
  const sizes = ops.map((op) => opBytes(op) + 1)
  const half = sum(sizes) / 2
  let at = units[0]!
  for (const length of units.slice(1, -1)) {
    if (sum(sizes.slice(0, at + length)) > half) break
    at += length
  }
  const part = (from: number, to: number) => ({
    first_seq: seqs[from]!,
    last_seq: seqs[to - 1]!,
    op_count: to - from,
    bytes: sum(sizes.slice(from, to)) + batch_envelope_bytes,
  })
  return { left: part(0, at), right: part(at, ops.length) }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
