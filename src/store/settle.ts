/**
 * Settling: the server's answer, written in one transaction that first checks the lease term. Only an Ack settles, op
 * by op; a cursor or head never does. Dead letters are written in the same transaction in which the cursor passes them.
 */
import type { Statement } from "bun:sqlite"
import type { Register } from "../intent/base.ts"
import { assert } from "../intent/error.ts"
import type { WireOp } from "../intent/op.ts"
import type { Connection } from "./connection.ts"
import { idBlob } from "./id-blob.ts"
import type { FrozenBatch } from "./freeze.ts"
import type { Lease } from "./lease.ts"
import { Retention } from "./retention.ts"
import { takeSecret } from "./rotation.ts"
import { type StreamRow, type Streams } from "./stream.ts"

/** A batch that the server decided. An op that is not in `rejected` was applied, now or earlier. */
export interface AckedBatch {
  batch: FrozenBatch
  rejected: ReadonlyMap<string, { code: string; message: string }>
  results: Readonly<Record<string, string>>
  register: Register
}

/** What the flusher may set on a stream; everything else of the row follows from the acks. */
export type StreamPatch = Partial<
  Pick<
    StreamRow,
    | "granted"
    | "probing"
    | "protocol"
    | "remote_id"
    | "remote_secret"
    | "service_id"
    | "epoch"
    | "url"
    | "batch_ops_max"
    | "batch_bytes_max"
    | "op_bytes_max"
    | "base_cursor"
    | "base_head_op_id"
    | "attempts"
    | "next_attempt_at"
    | "retry_after_at"
    | "last_error"
    | "block"
    | "block_message"
    | "time_blocked"
    | "service_fault_count"
    | "resync_owed"
    | "time_closed"
    | "repeat_removal"
  >
>

export interface Settlement {
  acked: readonly AckedBatch[]
  patch: StreamPatch
  /** Make all retained settled ops pending again, with this register as base: the server lost what it had acknowledged. */
  reset?: Register
  /** The service lost data: removals that were settled there are sent once more. */
  repeatRemovals?: boolean
  /** This outbox met a register whose head it does not know. */
  twin?: boolean
  /** The secret of a rotation opened the share. */
  rotated?: { secret: string; next_secret: string }
  posts: number
}

export class Settler {
  readonly #next: Statement<{ first_seq: number }>
  readonly #advance: Statement
  readonly #insertDead: Statement<{ decision: string | null }>
  readonly #revive: Statement
  readonly #insertSuperseded: Statement
  readonly #insertResult: Statement
  readonly #markSettled: Statement
  readonly #countPosts: Statement
  readonly #forgetCaptures: Statement[]
  readonly #repeatRemovals: Statement
  readonly retention: Retention

  constructor(
    readonly connection: Connection,
    readonly streams: Streams,
    readonly lease: Lease,
  ) {
    const { db } = connection
    this.retention = new Retention(connection, streams)
    this.#next = db.prepare("select first_seq from sturdy_batch where first_seq > ? order by first_seq limit 1")
    this.#advance = db.prepare(
      `update sturdy_stream set cursor = ?2, gap_count = gap_count - ?3, settled_op_id = ?4, base_cursor = ?5,
         base_head_op_id = ?6, retained_ops = retained_ops + ?7, retained_bytes = retained_bytes + ?8,
         dead_count = dead_count + ?9, batch_count = batch_count + 1
       where stream_id = ?1`,
    )
    this.#insertDead = db.prepare(
      `insert into sturdy_dead_letter (seq, op_id, code, message, op, time_created, key)
       values (?1, ?2, ?3, ?4, ?5, ?6, (select key from sturdy_op where seq = ?1))
       on conflict (seq) do update set code = excluded.code, message = excluded.message,
         time_created = excluded.time_created returning decision`,
    )
    this.#revive = db.prepare("delete from sturdy_dead_letter where seq = ?")
    this.#insertSuperseded = db.prepare("insert into sturdy_superseded (seq, op_id, by_op_id) values (?, ?, null)")
    this.#insertResult = db.prepare("insert or replace into sturdy_result (seq, result) values (?, ?)")
    this.#markSettled = db.prepare("update sturdy_batch set time_settled = ? where first_seq = ?")
    this.#countPosts = db.prepare(
      "update sturdy_stream set post_count = post_count + ?, twin_count = twin_count + ? where stream_id = ?",
    )
    this.#repeatRemovals = db.prepare(
      `update sturdy_stream set repeat_removal = 1, granted = 0 where time_closed is not null
         and service = (select service from sturdy_stream where stream_id = ?)`,
    )
    this.#forgetCaptures = ["sturdy_capture", "sturdy_item"].map((table) =>
      db.prepare(`delete from ${table} where stream_id = ?`),
    )
  }

  /** Writes the settlement and returns the stream as it is then; undefined if the lease was lost, and nothing is written. */
  settle(term: number, stream_id: number, settlement: Settlement): StreamRow | undefined {
    this.connection.assertAlone("settle")
    return this.connection.transact("settle", () => {
      if (!this.lease.isHeld(term)) return
      for (const acked of settlement.acked) this.#settleBatch(this.streams.get(stream_id), acked)
      this.#countPosts.run(settlement.posts, settlement.twin ? 1 : 0, stream_id)
      this.#patch(stream_id, settlement.patch)
      if (settlement.patch.time_closed != null) for (const forget of this.#forgetCaptures) forget.run(stream_id)
      if (settlement.repeatRemovals) this.#repeatRemovals.run(stream_id)
      if (settlement.rotated)
        takeSecret(this.connection, stream_id, settlement.rotated.secret, settlement.rotated.next_secret)
      if (settlement.reset) this.retention.makePending(stream_id, settlement.reset)
      else this.retention.prune(stream_id)
      return this.streams.get(stream_id)
    })
  }

  #settleBatch(stream: StreamRow, { batch, rejected, results, register }: AckedBatch): void {
    // One that lies between would be passed by the cursor, and its ops never be sent again.
    assert(
      batch.first_seq === this.#next.get(stream.cursor)?.first_seq && batch.last_seq <= stream.frozen_seq,
      `batch ${batch.batch_id} (${batch.first_seq}..${batch.last_seq}) is not the next one to settle: cursor ${stream.cursor}, frozen ${stream.frozen_seq}`,
    )
    const now = this.connection.seams.clock.now()
    let dead = 0
    batch.ops.forEach((op, index) => {
      const seq = batch.seqs[index]!
      const refused = rejected.get(op.op_id)
      const isDead = refused !== undefined && refused.code !== "superseded"
      if (isDead) dead += this.#bury(seq, op, refused, now) ? 1 : 0
      else if (stream.reset_count > 0) this.#revive.run(seq)
      if (refused?.code === "superseded") this.#insertSuperseded.run(seq, idBlob(op.op_id))
      const result = results[op.op_id]
      if (result !== undefined) this.#insertResult.run(seq, result)
    })
    const gaps = batch.last_seq - stream.cursor - batch.ops.length
    this.#advance.run(
      stream.stream_id,
      batch.last_seq,
      gaps,
      batch.ops.at(-1)!.op_id,
      register.cursor,
      register.head_op_id,
      batch.ops.length,
      batch.bytes,
      dead,
    )
    this.#markSettled.run(now, batch.first_seq)
  }

  /** False if it was decided before: a server_reset brought the op back, and it was rejected again. */
  #bury(seq: number, op: WireOp, refused: { code: string; message: string }, now: number): boolean {
    const row = this.#insertDead.get(seq, idBlob(op.op_id), refused.code, refused.message, JSON.stringify(op), now)
    return row?.decision === null
  }

  #patch(stream_id: number, patch: StreamPatch): void {
    const fields = Object.keys(patch) as (keyof StreamPatch)[]
    if (!fields.length) return
    // Field names come from this program, never from outside. `query` caches the statement by its text.
    this.connection.db
      .query(`update sturdy_stream set ${fields.map((field) => `${field} = ?`).join(", ")} where stream_id = ?`)
      .run(...fields.map((field) => patch[field] ?? null), stream_id)
  }
}
