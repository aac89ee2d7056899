/** One outbox file of a simulated world: its rows, its disk, and what the world knows to be recorded in it. */
import { ulidToBytes } from "../../intent/ulid.ts"
import { systemSeams } from "../../intent/system.ts"
import { openOutbox } from "../../outbox.ts"
import type { StreamRow } from "../../store/stream.ts"
import type { Disk } from "./disk.ts"
import { opIdOf } from "./op-id.ts"
import { MemoryDatabase, Pool, type Rows } from "./memory-database.ts"

export type OpState = "pending" | "applied" | "superseded" | "dead" | "discarded"

/** What the file and the world knew when the backup was made. */
export interface Backup {
  rows: Rows
  recorded: ReadonlyMap<string, readonly string[]>
}

const stopped = { ...systemSeams.clock, timer: () => ({ cancel() {} }) }

const pool = new Pool((db) => {
  // Nothing is sent and nothing is recorded: it is opened for its tables.
  void openOutbox({ database: db }, { seams: { ...systemSeams, clock: stopped } })
})

export class OutboxFile implements Disk {
  readonly db: MemoryDatabase
  readonly #isPooled: boolean
  isFull = false
  roomFor = 0
  nextCommit: Disk["nextCommit"]
  /** Another process holds the write lock until then, by the monotonic clock. */
  locked_until = -Infinity
  /** So many transactions were committed in it. */
  commits = 0
  /** So many times it was replaced by a backup of it. */
  restores = 0
  #rows: { commits: number; rows: readonly StreamRow[] } | undefined
  /** By stream: ops whose record returned and that the file, after a restore, can know; in the order of recording. */
  readonly #recorded = new Map<string, string[]>()
  /** Those of them that stand for a dead letter: a copy that retries the same sends the same op, at a time of its own. */
  readonly retried = new Set<string>()
  /** A copy of the file lives or lived elsewhere, or later. */
  hasTwin = false

  constructor(
    readonly name: string,
    readonly now: () => number,
    backup?: Backup,
    /** Without any table: who opens it first makes them. */
    isNew = false,
  ) {
    this.db = isNew ? new MemoryDatabase() : pool.take(backup?.rows)
    this.#isPooled = !isNew
    for (const [stream, ops] of backup?.recorded ?? []) this.#recorded.set(stream, [...ops])
    this.hasTwin = backup !== undefined
  }

  isLocked(): boolean {
    return this.now() < this.locked_until
  }

  committed(): void {
    this.commits += 1
  }

  recorded(stream = "s"): string[] {
    const known = this.#recorded.get(stream) ?? []
    this.#recorded.set(stream, known)
    return known
  }

  /** An op was recorded. `late`: perhaps long before, and it gets the place that it has in the file. */
  note(op_id: string, stream: string, late: boolean): void {
    const known = this.recorded(stream)
    if (known.includes(op_id)) return
    if (!late) return void known.push(op_id)
    const later = this.#after(op_id)
    const at = known.findIndex((other) => later.has(other))
    known.splice(at < 0 ? known.length : at, 0, op_id)
  }

  #after(op_id: string): ReadonlySet<string> {
    const sql = "select op_id from sturdy_op where seq > (select seq from sturdy_op where op_id = ?)"
    const rows = this.db.prepared(sql).values(ulidToBytes(op_id))
    return new Set(rows.map(([blob]) => opIdOf(blob)))
  }

  get recordedAnywhere(): string[] {
    return [...this.#recorded.values()].flat()
  }

  /** Names of its streams. */
  get streams(): string[] {
    return this.streamRows.map(({ name }) => name)
  }

  row(stream: string): StreamRow | null {
    return this.streamRows.find(({ name }) => name === stream) ?? null
  }

  /** As of the last commit. */
  get streamRows(): readonly StreamRow[] {
    if (this.#rows?.commits !== this.commits) {
      const rows = this.db.prepared("select * from sturdy_stream order by stream_id").all() as StreamRow[]
      this.#rows = { commits: this.commits, rows }
    }
    return this.#rows.rows
  }

  /** Dead letters that were retried, each with the op that was recorded for it. */
  get retries(): [dead: string, op_id: string][] {
    const sql = "select op_id, retried_op_id from sturdy_dead_letter where retried_op_id is not null"
    return this.rowsOf(sql).map((row) => [opIdOf(row[0]), opIdOf(row[1])])
  }

  get opCount(): number {
    return Number(this.rowsOf("select count(*) from sturdy_op")[0]![0])
  }

  /** The lease that was given last; `isFree` once it was given back. */
  get lease(): { term: number; isFree: boolean } {
    const [row] = this.rowsOf("select term, time_expires from sturdy_lease")
    return { term: Number(row?.[0] ?? 0), isFree: row?.[1] === 0 }
  }

  /** Ids of the ops that wait for the service's word. */
  get pending(): ReadonlySet<string> {
    const sql = "select op_id from sturdy_op join sturdy_stream on stream_id = seq >> 32 where seq > cursor"
    return new Set(this.rowsOf(sql).map(([blob]) => opIdOf(blob)))
  }

  /** It has the op, or had it and keeps its dead letter. */
  knows(op_id: string): boolean {
    const tables = ["sturdy_op", "sturdy_dead_letter"]
    return tables.some((table) => this.db.prepared(`select 1 from ${table} where op_id = ?`).get(ulidToBytes(op_id)))
  }

  isSettled(batch_id: string): boolean {
    return (
      this.rowsOf("select 1 from sturdy_batch where batch_id = ? and time_settled is not null", batch_id).length > 0
    )
  }

  backup(): Backup {
    const recorded = new Map([...this.#recorded].map(([stream, ops]) => [stream, [...ops]]))
    return { rows: this.db.rows, recorded }
  }

  /** The file is replaced by an older one; nobody may have it open. */
  restore(backup: Backup): void {
    this.db.rows = backup.rows
    this.#recorded.clear()
    for (const [stream, ops] of backup.recorded) this.#recorded.set(stream, [...ops])
    this.hasTwin = true
    this.commits += 1
    this.restores += 1
  }

  heal(): void {
    this.isFull = false
    this.roomFor = 0
    this.nextCommit = undefined
    this.locked_until = -Infinity
  }

  /** To the pool. Nobody uses it any more. */
  close(): void {
    if (this.db.inTransaction) this.db.run("rollback")
    if (this.#isPooled) pool.give(this.db)
    else this.db.close()
  }

  rowsOf(sql: string, ...params: (string | number)[]): unknown[][] {
    return this.db.prepared(sql).values(...params)
  }

  /** The newer op that replaced it here, by id. */
  replacing(op_id: string): Uint8Array | undefined {
    const sql = "select by_op_id from sturdy_superseded where op_id = ?"
    const [found] = this.db.prepared(sql).values(ulidToBytes(op_id))
    return (found?.[0] as Uint8Array | null) ?? undefined
  }
}
