/**
 * Settled ops are kept for a server that loses what it acknowledged: at least `retained_ms` and `retained_ops` per
 * stream, within `retained_bytes`. Pruned and made pending again by whole batches, so that a batch keeps its ops.
 */
import type { Statement } from "bun:sqlite"
import type { Register } from "../intent/base.ts"
import { assert } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Connection } from "./connection.ts"
import { DeadLetterRows } from "./dead-letter-row.ts"
import { idText } from "./id-blob.ts"
import { endSeq, firstSeq, type StreamRow, type Streams } from "./stream.ts"

/** Batches pruned in one transaction, at most: settling stays short. */
const step_batches = 16
/** The same for a full outbox, where `record` waits for it. */
const room_batches = 64

interface OldestRow {
  first_seq: number
  last_seq: number
  op_count: number
  bytes: number
  time_settled: number
}

export class Retention {
  readonly #now: () => number
  readonly #oldest: Statement<OldestRow>
  readonly #lastOp: Statement<{ op_id: Uint8Array }>
  readonly #prune: Statement[]
  readonly #pruned: Statement
  readonly #reset: Statement
  readonly #unsettle: Statement[]
  readonly #rowsBetween: Statement<{ count: number }>
  readonly #dead: Statement<{ count: number }>
  readonly #deadLetters: DeadLetterRows

  constructor(
    connection: Connection,
    readonly streams: Streams,
  ) {
    const { db, seams } = connection
    this.#now = () => seams.clock.now()
    this.#oldest = db.prepare(
      `select first_seq, last_seq, op_count, bytes, time_settled from sturdy_batch
       where first_seq > ? and last_seq <= ? order by first_seq limit 1`,
    )
    this.#lastOp = db.prepare("select op_id from sturdy_op where seq = ?")
    this.#prune = ["sturdy_op", "sturdy_result", "sturdy_superseded"].map((table) =>
      db.prepare(`delete from ${table} where seq > ? and seq <= ?`),
    )
    this.#prune.push(db.prepare("delete from sturdy_batch where first_seq > ? and last_seq <= ?"))
    this.#pruned = db.prepare(
      `update sturdy_stream set pruned_seq = ?2, pruned_op_id = ?3, retained_ops = retained_ops - ?4,
         retained_bytes = retained_bytes - ?5 where stream_id = ?1`,
    )
    this.#reset = db.prepare(
      `update sturdy_stream set cursor = pruned_seq, settled_op_id = pruned_op_id, base_cursor = ?2, base_head_op_id = ?3,
         gap_count = ?4, retained_ops = 0, retained_bytes = 0, dead_count = ?5, reset_count = reset_count + 1
       where stream_id = ?1`,
    )
    this.#deadLetters = new DeadLetterRows(connection)
    // What a person decided stays decided: rejected again, the op is no news. Applied this time, its row goes.
    // An op that only this outbox superseded has no row to become pending; those whose row is kept were superseded by an Ack.
    this.#unsettle = [
      db.prepare("delete from sturdy_dead_letter where seq > ? and seq <= ? and decision is null"),
      db.prepare("delete from sturdy_superseded where seq > ? and seq <= ? and by_op_id is null"),
    ]
    this.#rowsBetween = db.prepare("select count(*) as count from sturdy_op where seq > ? and seq <= ?")
    this.#dead = db.prepare(
      "select count(*) as count from sturdy_dead_letter where decision is null and seq >= ? and seq < ?",
    )
  }

  /** Deletes what need not be kept, oldest batch first, a few per call. Inside the settling transaction. */
  prune(stream_id: number): void {
    this.#pruneSteps(stream_id, step_batches, this.#isOverdue)
  }

  /**
   * For a full outbox: gives up what is kept only for a service that might lose data, oldest batch of each stream first,
   * and what a removal discarded. Inside the recording transaction; pending ops are never touched.
   */
  makeRoom(): void {
    let steps = room_batches
    for (const { stream_id, time_closed, cursor } of this.streams.all()) {
      steps -= this.#pruneSteps(stream_id, steps, () => true)
      if (time_closed !== null) this.#prune[0]!.run(cursor, endSeq(stream_id) - 1)
    }
  }

  readonly #isOverdue = (stream: StreamRow, oldest: OldestRow): boolean => {
    if (stream.retained_bytes > limit.retained_bytes) return true
    const old = this.#now() - oldest.time_settled > limit.retained_ms
    return old && stream.retained_ops - oldest.op_count >= limit.retained_ops
  }

  /** Returns how many batches went. */
  #pruneSteps(stream_id: number, steps_max: number, isDue: (stream: StreamRow, oldest: OldestRow) => boolean): number {
    let steps = 0
    while (steps < steps_max && this.#pruneOldest(stream_id, isDue)) steps += 1
    if (steps > 0) this.#deadLetters.forgetPruned(this.streams.get(stream_id))
    return steps
  }

  /** False if the stream retains no batch, or its oldest is to be kept. */
  #pruneOldest(stream_id: number, isDue: (stream: StreamRow, oldest: OldestRow) => boolean): boolean {
    const stream = this.streams.get(stream_id)
    const oldest = this.#oldest.get(stream.pruned_seq, stream.cursor)
    if (!oldest || !isDue(stream, oldest)) return false
    const last = this.#lastOp.get(oldest.last_seq)
    assert(last, `the last op of a retained batch is retained: seq ${oldest.last_seq}`)
    for (const prune of this.#prune) prune.run(stream.pruned_seq, oldest.last_seq)
    this.#pruned.run(stream_id, oldest.last_seq, idText(last.op_id), oldest.op_count, oldest.bytes)
    return true
  }

  /** True if a settled op is retained, so that a reset has something to send again. */
  hasRetained(stream_id: number): boolean {
    const stream = this.streams.get(stream_id)
    const { connection } = this.streams
    return connection.read("look for a batch", () => this.#oldest.get(stream.pruned_seq, stream.cursor)) !== null
  }

  /**
   * All retained settled ops become pending again in their old order and batches: the one exception to "terminal states
   * never change", counted in `reset_count`.
   */
  makePending(stream_id: number, base: Register): void {
    const stream = this.streams.get(stream_id)
    for (const unsettle of this.#unsettle) unsettle.run(stream.pruned_seq, stream.cursor)
    // Counted in what is retained, which is bounded; what is pending above it may be a million.
    const kept = this.#rowsBetween.get(stream.pruned_seq, stream.cursor)!.count
    const gaps = stream.gap_count + stream.cursor - stream.pruned_seq - kept
    this.#reset.run(
      stream_id,
      base.cursor,
      base.head_op_id,
      gaps,
      this.#dead.get(firstSeq(stream_id), endSeq(stream_id))!.count,
    )
  }
}
