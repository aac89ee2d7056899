/** Rows of a table in the order of seq, around what is damaged: what can be read is read, what lies between is told. */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite"
import { isDamage } from "../../store/fault.ts"

/** Places that cannot be read: those between the two. */
export interface Gap {
  after: number
  before: number
}

export interface Part<Row> {
  rows: Row[]
  gaps: Gap[]
  /** Place after which to go on; undefined at the end. */
  next: number | undefined
}

export interface Room {
  rows: number
  /** Read on until the rows so far have so many; then one more may come. */
  bytes: number
}

/** Looks at each place behind the damage, then at every second one, every fourth …: a page holds less than so many rows. */
const looks_per_stride = 1024

export interface Source {
  table: string
  /** Its rowid, by which it is read; told as `seq`. */
  place?: string
  columns?: string
  /** One past the last place that there can be. */
  end?: number
}

export class RowsAround<Row extends { seq: number }> {
  /** Row by row: a list would have no bound, and a loop that is left early keeps its read transaction (Bun 1.3.14). */
  readonly #first: Statement<Row, SQLQueryBindings[]>

  constructor(db: Database, { table, place = "seq", columns = "*" }: Source) {
    this.#first = db.prepare(
      `select ${place} as seq, ${columns} from ${table} where ${place} > ?1 and ${place} < ?2 order by ${place} limit 1`,
    )
  }

  /** Of the places between the two. @throws what is no damage */
  read(after: number, before: number, { rows: rows_max, bytes: bytes_max }: Room): Part<Row> {
    const rows: Row[] = []
    let bytes = 0
    let at = after
    while (rows.length < rows_max && bytes < bytes_max) {
      const row = this.#look(at, before)
      if (row === "none") return { rows, gaps: [], next: undefined }
      if (row === "damaged") return this.#around(rows, at, before)
      rows.push(row)
      at = row.seq
      bytes += bytesOf(row)
    }
    return { rows, gaps: [], next: at }
  }

  #around(rows: Row[], at: number, before: number): Part<Row> {
    const beyond = this.#beyond(at, before)
    const gap = { after: at, before: beyond ?? before }
    return { rows, gaps: [gap], next: beyond === undefined ? undefined : beyond - 1 }
  }

  /** The first place behind the damage that can be read; undefined if there is none. */
  #beyond(after: number, before: number): number | undefined {
    let unreadable = after
    let stride = 1
    for (let looks = 1; unreadable + stride < before; looks++) {
      const at = unreadable + stride
      const found = this.#look(at - 1, before)
      if (found !== "damaged") return stride === 1 ? placeOf(found) : this.#firstOf(unreadable, at, before)
      unreadable = at
      if (looks % looks_per_stride === 0) stride *= 2
    }
    return
  }

  /** Between a place that cannot be read and one from which on all can. */
  #firstOf(unreadable: number, readable: number, before: number): number | undefined {
    let low = unreadable
    let high = readable
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.#look(middle - 1, before) === "damaged") low = middle
      else high = middle
    }
    return placeOf(this.#look(high - 1, before))
  }

  #look(after: number, before: number): Row | "none" | "damaged" {
    try {
      const found = this.#first.get(after, before)
      if (!found) return "none"
      // A page of zeros has a row 0.
      return found.seq > after && found.seq < before ? found : "damaged"
    } catch (error) {
      if (isDamage(error)) return "damaged"
      throw error
    }
  }
}

function placeOf(found: { seq: number } | string): number | undefined {
  return typeof found === "string" ? undefined : found.seq
}

/** About: for a bound on memory. */
function bytesOf(row: object): number {
  let bytes = 0
  for (const value of Object.values(row) as unknown[])
    if (typeof value === "string" || value instanceof Uint8Array) bytes += value.length
  return bytes
}
