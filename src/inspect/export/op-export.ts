/**
 * An outbox as it is exported: what there is to say of it, then its ops, stream by stream. Read in parts, each in one
 * short transaction, so that a host which goes on can write its -wal back and start it anew; so it is not one instant.
 * Around what is damaged: what could not be read is told.
 */
import type { Database } from "bun:sqlite"
import type { DamagedView } from "../../store/damaged-reading.ts"
import { unlessDamaged } from "../../store/fault.ts"
import { endSeq, firstSeq, streamIdOf, type StreamRow } from "../../store/stream.ts"
import { type Part, RowsAround } from "../damage/around-damage.ts"
import { type DeadRow, type OpFacts, opFacts, type KeptOp, type SupersededRow } from "../op-facts.ts"
import { matches } from "../name-pattern.ts"
import type { OpState } from "../op-state.ts"
import { streams_source } from "../damage/salvage.ts"

export interface ExportFilter {
  /** `*` stands for any text. */
  stream?: string | undefined
  /** Left out: what is still to be settled, and dead letters about which nobody has decided. */
  state?: OpState | undefined
  /** Everything that is kept. */
  all?: boolean | undefined
}

/** What could not be read, in places of one table. */
export interface Loss {
  table: string
  stream: string | null
}

/** Bounds of the memory that a part takes: ops are of a few hundred bytes, and of 4 MiB at most. */
const room = { rows: 500, bytes: 2 * 1024 * 1024 }

interface OpsPart {
  ops: OpFacts[]
  next: number | undefined
}

type Stream = { stream_id: number } & Partial<StreamRow>

export class OpExport {
  readonly losses: Loss[] = []
  /** Rows of ops that are not what was recorded. */
  damaged_ops = 0
  #sources: Sources | undefined

  constructor(
    readonly reader: DamagedView,
    readonly filter: ExportFilter,
  ) {}

  /** In the order of streams and places. */
  *parts(): Generator<OpFacts[]> {
    for (const stream of this.reader.read((db) => this.#streams(db)))
      for (let at: number | undefined = firstSeq(stream.stream_id); at !== undefined;) {
        const after: number = at
        const losses: Loss[] = []
        const part: OpsPart = this.reader.read((db) => {
          losses.length = 0
          return this.#part(this.#on(db), stream, after, losses)
        })
        this.losses.push(...losses)
        this.damaged_ops += part.ops.filter((op) => op.whole === false).length
        yield part.ops
        at = part.next
      }
  }

  /** Prepared once for each handle. */
  #on(db: Database): Sources {
    if (this.#sources?.db !== db) this.#sources = new Sources(db)
    return this.#sources
  }

  /** Of a stream whose row cannot be read there may be ops. */
  #streams(db: Database): Stream[] {
    const rows = new RowsAround<StreamRow & { seq: number }>(db, streams_source)
    const found: Stream[] = []
    let isWhole = true
    for (let at: number | undefined = 0; at !== undefined;) {
      const part: Part<StreamRow> = rows.read(at, streams_source.end!, room)
      found.push(...part.rows)
      if (part.gaps.length > 0) isWhole = false
      at = part.next
    }
    if (!isWhole) {
      this.losses.push({ table: "sturdy_stream", stream: null })
      const known = new Set(found.map((stream) => stream.stream_id))
      for (const stream_id of streamsWithOps(db)) if (!known.has(stream_id)) found.push({ stream_id })
    }
    const { stream } = this.filter
    return found
      .filter(({ name }) => (name === undefined ? stream === undefined : matches(stream, name)))
      .toSorted((a, b) => a.stream_id - b.stream_id)
  }

  #part(sources: Sources, known: Stream, after: number, losses: Loss[]): OpsPart {
    const { stream_id } = known
    const end = endSeq(stream_id)
    const name = known.name ?? null
    sources.begin()
    try {
      const stream = sources.stream(stream_id) ?? (known.name === undefined ? undefined : (known as StreamRow))
      // What is settled is skipped, if nobody asked for it.
      const skips = stream && !this.#wants("acked") && !this.#wants("superseded")
      const kept = sources.ops.read(skips ? Math.max(after, stream.cursor) : after, end, room)
      let to = kept.next ?? end - 1
      const read = <Row extends { seq: number }>(rows: RowsAround<Row>, table: string) => {
        const part = rows.read(after, to + 1, room)
        to = Math.min(to, part.next ?? to)
        if (part.gaps.length > 0) losses.push({ table, stream: name })
        return part
      }
      if (kept.gaps.length > 0) losses.push({ table: "sturdy_op", stream: name })
      const dead = read(sources.dead, "sturdy_dead_letter")
      const superseded = read(sources.superseded, "sturdy_superseded")
      const within = <Row extends { seq: number }>({ rows }: Part<Row>) =>
        new Map(rows.filter((row) => row.seq <= to).map((row) => [row.seq, row]))
      const [ops, letters, notes] = [within<KeptOp>(kept), within<DeadRow>(dead), within<SupersededRow>(superseded)]
      const places = [...new Set([...ops.keys(), ...letters.keys(), ...notes.keys()])].toSorted((a, b) => a - b)
      const batches = sources.batches(places)
      const exported = places.map((seq) =>
        opFacts(seq, stream_id, stream, {
          op: ops.get(seq),
          dead: letters.get(seq),
          superseded: notes.get(seq),
          result: sources.result(seq),
          batch_id: batches.find((batch) => batch.first_seq <= seq && seq <= batch.last_seq)?.batch_id ?? null,
        }),
      )
      return { ops: exported.filter((op) => this.#includes(op)), next: to >= end - 1 ? undefined : to }
    } finally {
      sources.end()
    }
  }

  #wants(state: OpState): boolean {
    const { all, state: wanted } = this.filter
    return all === true || (wanted === undefined ? state === "pending" || state === "in_flight" : state === wanted)
  }

  #includes({ state, rejection }: OpFacts): boolean {
    if (state === null || this.#wants(state)) return true
    return state === "failed" && this.filter.state === undefined && rejection?.decision === null
  }
}

interface BatchRow {
  first_seq: number
  last_seq: number
  batch_id: string
}

/** What is beside an op, and cannot be read, is left out. */
class Sources {
  readonly ops: RowsAround<KeptOp>
  readonly dead: RowsAround<DeadRow>
  readonly superseded: RowsAround<SupersededRow>
  readonly #begin
  readonly #rollback
  readonly #stream
  readonly #result
  readonly #batches

  constructor(readonly db: Database) {
    this.ops = new RowsAround(db, { table: "sturdy_op" })
    this.dead = new RowsAround(db, { table: "sturdy_dead_letter" })
    this.superseded = new RowsAround(db, { table: "sturdy_superseded" })
    this.#begin = db.prepare("begin")
    // Nothing was written; COMMIT would tell of damage once more.
    this.#rollback = db.prepare("rollback")
    this.#stream = db.prepare<StreamRow, [number]>("select * from sturdy_stream where stream_id = ?")
    this.#result = db.prepare<{ result: string }, [number]>("select result from sturdy_result where seq = ?")
    this.#batches = db.prepare<BatchRow, [number, number]>(
      `select first_seq, last_seq, batch_id from sturdy_batch where first_seq <= ?2 and first_seq >=
         coalesce((select max(first_seq) from sturdy_batch where first_seq <= ?1), ?1)`,
    )
  }

  begin(): void {
    this.#begin.run()
  }

  end(): void {
    this.#rollback.run()
  }

  stream(stream_id: number): StreamRow | undefined {
    return unlessDamaged(() => this.#stream.get(stream_id)) ?? undefined
  }

  result(seq: number): string | null {
    return unlessDamaged(() => this.#result.get(seq)?.result) ?? null
  }

  /** That hold some of these places, which rise. */
  batches(places: readonly number[]): BatchRow[] {
    const [first, last] = [places[0], places.at(-1)]
    if (first === undefined || last === undefined) return []
    return unlessDamaged(() => this.#batches.all(first, last)) ?? []
  }
}

/** One look per stream. */
function streamsWithOps(db: Database): number[] {
  const ops = new RowsAround(db, { table: "sturdy_op" })
  const found: number[] = []
  for (let at: number | undefined = 0; at !== undefined;) {
    const { rows, next }: Part<{ seq: number }> = ops.read(at, Number.MAX_SAFE_INTEGER, { rows: 1, bytes: 1 })
    const [row] = rows
    at = next
    if (!row) continue
    const stream_id = streamIdOf(row.seq)
    found.push(stream_id)
    at = endSeq(stream_id) - 1
  }
  return found
}
