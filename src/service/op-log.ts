/** What one share remembers of its ops: outcomes for its whole life, effects by position, registers by writer. */
import { createHash } from "node:crypto"
import type { Register } from "../intent/base.ts"
import { contentOf, type WireOp } from "../intent/op.ts"
import { ulidFromBytes, ulidToBytes } from "../intent/ulid.ts"
import { purge_ops, result_retention_ms } from "./limit.ts"
import type { Sql } from "./sql-port.ts"

export type Outcome =
  | { name: "applied"; position: number; content: Uint8Array }
  | { name: "rejected"; code: string; message: string; content: Uint8Array }
  /** Replaced before it was ever sent; its content was never seen here. */
  | { name: "superseded" }

export interface Effect {
  /** Args with references replaced. */
  args: string
  /** capnweb `serialize()` text; null for undefined. */
  result: string | null
}

interface OpRow {
  content: Uint8Array | null
  position: number | null
  code: string | null
  message: string | null
}

/** Of `serialize(undefined)`, which most methods return: kept as NULL. */
export const undefinedResult = '["undefined"]'

/** First half of a SHA-256: enough to tell two contents of one op_id apart, and half as much to keep for ever. */
export function contentHash(op: WireOp): Uint8Array {
  return createHash("sha256").update(contentOf(op)).digest().subarray(0, 16)
}

export class OpLog {
  readonly #sql: Sql
  readonly #share: number
  readonly #time: number
  #position: number

  /** `position` of the last applied op. Used within one transaction only. */
  constructor(sql: Sql, share: number, position: number, time: number) {
    this.#sql = sql
    this.#share = share
    this.#position = position
    this.#time = time
  }

  /** Position that the next applied op gets. */
  get next(): number {
    return this.#position + 1
  }

  register(writer_id: string): Register {
    return readRegister(this.#sql, this.#share, writer_id)
  }

  /** Moves a writer's register, and with it everything that follows from the batch. */
  advance(writer_id: string, cursor: number, head_op_id: string): void {
    this.#sql.run(
      `INSERT INTO writer (share, writer_id, cursor, head_op_id) VALUES (?, ?, ?, ?)
       ON CONFLICT (share, writer_id) DO UPDATE SET cursor = excluded.cursor, head_op_id = excluded.head_op_id`,
      this.#share,
      writer_id,
      cursor,
      ulidToBytes(head_op_id),
    )
    this.#sql.run(`UPDATE share SET position = ? WHERE id = ?`, this.#position, this.#share)
  }

  find(op_id: string): Outcome | undefined {
    const row = this.#sql.get<OpRow>(
      `SELECT content, position, code, message FROM op WHERE share = ? AND op_id = ?`,
      this.#share,
      ulidToBytes(op_id),
    )
    if (!row) return
    const content = row.content ?? new Uint8Array()
    if (row.position !== null) return { name: "applied", position: row.position, content }
    if (row.code !== null) return { name: "rejected", code: row.code, message: row.message ?? "", content }
    return { name: "superseded" }
  }

  apply(op: WireOp, effect: Effect): void {
    const position = this.next
    this.#insert(op, position, null, null)
    this.#sql.run(
      `INSERT INTO applied (share, position, op_id, method, codec, args, schema_version, actor_id,
         time_created, time_applied, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#share,
      position,
      ulidToBytes(op.op_id),
      op.method,
      op.codec,
      effect.args,
      op.schema_version,
      op.actor_id ?? null,
      op.time_created,
      this.#time,
      effect.result,
    )
    this.#position = position
  }

  reject(op: WireOp, code: string, message: string): void {
    this.#insert(op, null, code, message)
  }

  /** An older copy of the writer's outbox may still hold it: from now on it is known, and never applied. */
  supersede(op_id: string): void {
    this.#sql.run(
      `INSERT INTO op (share, op_id) VALUES (?, ?) ON CONFLICT (share, op_id) DO NOTHING`,
      this.#share,
      ulidToBytes(op_id),
    )
  }

  /** capnweb `serialize()` text of an applied op's result; undefined if it expired. */
  result(position: number): string | undefined {
    const row = this.#sql.get<{ time_applied: number; result: string | null }>(
      `SELECT time_applied, result FROM applied WHERE share = ? AND position = ?`,
      this.#share,
      position,
    )
    if (!row || row.result === "" || row.time_applied <= this.#time - result_retention_ms) return
    return row.result ?? undefinedResult
  }

  /** Frees the space of expired results, a bounded number of positions after `from`; those before one that is kept stay. */
  purgeResults(from: number): void {
    const last = Math.min(from + purge_ops, this.#position)
    const kept = this.#sql.get<{ position: number }>(
      `SELECT position FROM applied WHERE share = ? AND position > ? AND position <= ? AND time_applied > ?
       ORDER BY position LIMIT 1`,
      this.#share,
      from,
      last,
      this.#time - result_retention_ms,
    )
    const until = kept ? kept.position - 1 : last
    if (until <= from) return
    this.#sql.run(
      `UPDATE applied SET result = '' WHERE share = ? AND position > ? AND position <= ? AND result IS NOT NULL`,
      this.#share,
      from,
      until,
    )
    this.#sql.run(`UPDATE share SET result_purged = ? WHERE id = ?`, until, this.#share)
  }

  // A plain INSERT: deciding an op_id twice violates the primary key and rolls everything back.
  #insert(op: WireOp, position: number | null, code: string | null, message: string | null): void {
    this.#sql.run(
      `INSERT INTO op (share, op_id, content, position, code, message) VALUES (?, ?, ?, ?, ?, ?)`,
      this.#share,
      ulidToBytes(op.op_id),
      contentHash(op),
      position,
      code,
      message,
    )
  }
}

export function readRegister(sql: Sql, share: number, writer_id: string): Register {
  const row = sql.get<{ cursor: number; head_op_id: Uint8Array }>(
    `SELECT cursor, head_op_id FROM writer WHERE share = ? AND writer_id = ?`,
    share,
    writer_id,
  )
  return row ? { cursor: row.cursor, head_op_id: ulidFromBytes(row.head_op_id) } : { cursor: 0, head_op_id: null }
}
