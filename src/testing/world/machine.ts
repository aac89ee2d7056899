/** The machine of a simulated service: its database, whose rows can be taken and put back, and which can be busy. */
import { ManualClock } from "../manual-clock.ts"
import { openCore } from "../../service/core.ts"
import { openShareServiceFile } from "../../service/sql-bun.ts"
import { type Sql, SqlBusyError, type SqlRow } from "../../service/sql-port.ts"

/** The rows of every table, by its name. */
export type MachineRows = ReadonlyMap<string, readonly SqlRow[]>

/** Machines that no world uses just now: to make the tables costs 0.4 ms. */
const free: Machine[] = []

export class Machine {
  readonly #file = openShareServiceFile(":memory:")
  readonly #tables: readonly string[]
  readonly #empty: MachineRows
  /** Somebody else holds the write lock. */
  isBusy = false
  /** The same, for so many transactions. */
  busyFor = 0
  /** Of which so many go through before. */
  busyAfter = 0
  #depth = 0

  /** Use `takeMachine`. */
  constructor() {
    const random = { fraction: () => 0, bytes: (count: number) => new Uint8Array(count) }
    openCore({ sql: this.#file, seams: { clock: new ManualClock(), random, crashPoint: () => {} } })
    this.#file.run(
      `CREATE TABLE effect (id INTEGER PRIMARY KEY, share INTEGER, op_id TEXT, name TEXT, about TEXT) STRICT`,
    )
    this.#tables = this.#file
      .all<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid`)
      .map((row) => row.name)
    this.#file.run(`DELETE FROM service`)
    this.#empty = this.rows
  }

  readonly sql: Sql = {
    all: (...call) => this.#file.all(...call),
    get: (...call) => this.#file.get(...call),
    run: (...call) => this.#file.run(...call),
    transaction: (body) => {
      // A savepoint within one that holds the lock needs none.
      if (this.#depth === 0) this.#takeLock()
      this.#depth += 1
      try {
        return this.#file.transaction(body)
      } finally {
        this.#depth -= 1
      }
    },
  }

  #takeLock(): void {
    const isNext = this.busyFor > 0 && this.busyAfter === 0
    if (this.busyFor > 0 && this.busyAfter > 0) this.busyAfter -= 1
    if (isNext) this.busyFor -= 1
    if (this.isBusy || isNext) throw new SqlBusyError("the database is locked")
  }

  get rows(): MachineRows {
    return new Map(this.#tables.map((table) => [table, this.#file.all(`SELECT * FROM ${table}`)]))
  }

  set rows(rows: MachineRows) {
    this.#file.transaction(() => {
      for (const table of this.#tables.toReversed()) this.#file.run(`DELETE FROM ${table}`)
      for (const [table, found] of rows) for (const row of found) this.#insert(table, row)
    })
  }

  /** As it was made: nothing was ever asked of it, and the service that opens it is a new one. */
  clear(): void {
    this.isBusy = false
    this.busyFor = 0
    this.busyAfter = 0
    this.rows = this.#empty
  }

  #insert(table: string, row: SqlRow): void {
    const columns = Object.keys(row)
    const places = columns.map(() => "?").join(", ")
    this.#file.run(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`, ...Object.values(row))
  }
}

export function takeMachine(): Machine {
  const machine = free.pop() ?? new Machine()
  machine.clear()
  return machine
}

/** Nobody uses it any more. */
export function giveMachine(machine: Machine): void {
  free.push(machine)
}
