/**
 * What the checks read, in short read transactions: rows are compared only with rows of the same one, and between two of
 * them a host that is at work may checkpoint.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite"
import type { OpRow } from "../../store/op-row.ts"
import { endSeq, firstSeq } from "../../store/stream.ts"
import { columnsOf } from "../column.ts"

/** What places and counters of a stream are checked by: columns that every schema has. */
export interface StreamPlaces {
  stream_id: number
  name: string
  cursor: number
  frozen_seq: number
  pruned_seq: number
  gap_count: number
  settled_op_id: string | null
  pruned_op_id: string | null
  retained_ops: number
  retained_bytes: number
  time_removal: number | null
  time_closed: number | null
  repeat_removal: number
  batch_count: number
  dead_count: number
  superseded_count: number
  reset_count: number
}

export interface BatchPlaces {
  first_seq: number
  last_seq: number
  batch_id: string
  op_count: number
  bytes: number
  time_settled: number | null
}

export interface SupersededRow {
  seq: number
  op_id: Uint8Array
  by_op_id: Uint8Array | null
}

export class OutboxReader {
  readonly #statements = new Map<string, Statement<unknown, SQLQueryBindings[]>>()
  readonly #columns = new Map<string, ReadonlySet<string>>()

  constructor(readonly db: Database) {}

  /** One read transaction. It must end before anybody else has his turn. */
  snapshot<T>(read: () => T): T {
    if (this.db.inTransaction) return read()
    this.db.run("begin")
    try {
      return read()
    } finally {
      if (this.db.inTransaction) this.db.run("rollback")
    }
  }

  all<Row>(sql: string, ...params: SQLQueryBindings[]): Row[] {
    return this.#prepared(sql).all(...params) as Row[]
  }

  get<Row>(sql: string, ...params: SQLQueryBindings[]): Row | undefined {
    return (this.#prepared(sql).get(...params) as Row | null) ?? undefined
  }

  /** To be read to its end. */
  iterate<Row>(sql: string, ...params: SQLQueryBindings[]): Iterable<Row> {
    return this.#prepared(sql).iterate(...params) as Iterable<Row>
  }

  count(sql: string, ...params: SQLQueryBindings[]): number {
    return this.get<{ n: number }>(sql, ...params)!.n
  }

  /** The column, or `null as column` in a file of an older schema: nothing is migrated for a look. */
  column(table: string, name: string): string {
    return this.has(table, name) ? name : `null as ${name}`
  }

  has(table: string, name: string): boolean {
    const known = this.#columns.get(table) ?? columnsOf(this.db, table)
    this.#columns.set(table, known)
    return known.has(name)
  }

  streamIds(): number[] {
    return this.all<{ stream_id: number }>("select stream_id from sturdy_stream order by stream_id").map(
      (row) => row.stream_id,
    )
  }

  stream(stream_id: number): StreamPlaces | undefined {
    return this.get(
      `select stream_id, name, cursor, frozen_seq, pruned_seq, gap_count, settled_op_id, pruned_op_id, retained_ops,
         retained_bytes, time_removal, time_closed, repeat_removal, batch_count, dead_count, superseded_count,
         reset_count from sturdy_stream where stream_id = ?`,
      stream_id,
    )
  }

  /** Highest place that holds an op; undefined if none does. */
  lastOp(stream_id: number): number | undefined {
    const { seq } = this.get<{ seq: number | null }>(
      "select max(seq) as seq from sturdy_op where seq >= ? and seq < ?",
      firstSeq(stream_id),
      endSeq(stream_id),
    )!
    return seq ?? undefined
  }

  opAt(seq: number): { op_id: Uint8Array } | undefined {
    return this.get("select op_id from sturdy_op where seq = ?", seq)
  }

  /** Ops with from < seq <= to. */
  ops(from: number, to: number): Iterable<OpRow> {
    return this.iterate(
      `select seq, op_id, time_created, continues, want_result, schema_version, depends_on, supersedes, target,
         actor_id, method, args, ${this.column("sturdy_op", "checksum")}
       from sturdy_op where seq > ? and seq <= ? order by seq`,
      from,
      to,
    )
  }

  superseded(from: number, to: number): Iterable<SupersededRow> {
    return this.iterate(
      "select seq, op_id, by_op_id from sturdy_superseded where seq > ? and seq <= ? order by seq",
      from,
      to,
    )
  }

  #prepared(sql: string): Statement<unknown, SQLQueryBindings[]> {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.db.prepare<unknown, SQLQueryBindings[]>(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** Are its places in order? Nothing can be said of what lies between them if they are not. */
export function isOrdered(stream: StreamPlaces): boolean {
  const { stream_id, pruned_seq, cursor, frozen_seq } = stream
  const places = [firstSeq(stream_id), pruned_seq, cursor, frozen_seq, endSeq(stream_id) - 1]
  return places.every((place, index) => Number.isSafeInteger(place) && (index === 0 || places[index - 1]! <= place))
}

/** After its removal was settled, what had not been sent is discarded, and goes when room is needed. */
export function mayBeDiscarded(stream: StreamPlaces, seq: number): boolean {
  return stream.time_closed !== null && seq > stream.cursor
}
