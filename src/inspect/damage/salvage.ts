/** What can still be read of a damaged outbox, in numbers. Read-only: every row is read, and its checksum compared. */
import type { Database } from "bun:sqlite"
import { systemClock } from "../../intent/system.ts"
import { openDamaged } from "../../store/damaged-reading.ts"
import { unlessDamaged } from "../../store/fault.ts"
import { atOneInstant } from "../../store/instant.ts"
import { isWhole, type OpRow } from "../../store/op-row.ts"
import { endSeq, firstSeq, streamIdOf, type StreamRow, streams_max } from "../../store/stream.ts"
import { walFault, type WalFault } from "../../store/wal.ts"
import { RowsAround, type Source } from "./around-damage.ts"

export interface Salvage {
  /** Nothing that is known of is missing or wrong. */
  whole: boolean
  /** What is read instead of the file as it lies, for people; null if the file is. */
  note: string | null
  /** The first page, or the schema, cannot be read. */
  schema_damaged: boolean
  /** Frames of the -wal that cannot be read. Null also as long as somebody writes it. */
  wal: WalFault | null
  streams: SalvagedStream[]
  tables: SalvagedTable[]
}

export interface SalvagedStream {
  stream_id: number
  /** Null: its row cannot be read. */
  stream: string | null
  /** Ops that can be read and are what was recorded. */
  readable: number
  /** Ops whose row can be read and is not what was recorded. */
  checksum_wrong: number
  /** Ops that should be there: retained and pending ones. Null if that cannot be known. */
  expected: number | null
  /** The end of the stream cannot be read: there may have been more. */
  expected_is_minimum: boolean
}

export interface SalvagedTable {
  table: string
  readable: number
  /** Places in a row that cannot be read, each as many rows as it may be. */
  gaps: number
}

/** Also of an outbox that is whole. @throws SturdyError if there is no outbox, or nothing of it can be read at all. */
export function salvage(file: string): Salvage {
  const reader = openDamaged(file)
  try {
    const found = reader.read(readAll)
    const wal = quietWalFault(file)
    const isWhole = found.streams.every(isStreamWhole) && found.tables.every((table) => table.gaps === 0)
    return {
      whole: isWhole && !reader.isRebuilt && wal === null,
      note: reader.note ?? null,
      schema_damaged: reader.isRebuilt,
      wal,
      ...found,
    }
  } finally {
    reader.close()
  }
}

/** Who writes it may make it look wrong, and sees to it. */
export function quietWalFault(file: string): WalFault | null {
  return atOneInstant(file, systemClock, () => walFault(file))?.found ?? null
}

function isStreamWhole({ stream, readable, checksum_wrong, expected, expected_is_minimum }: SalvagedStream): boolean {
  return stream !== null && checksum_wrong === 0 && !expected_is_minimum && (expected === null || readable >= expected)
}

export const streams_source: Source = { table: "sturdy_stream", place: "stream_id", end: streams_max + 1 }

const room = { rows: 1_000, bytes: 4 * 1024 * 1024 }

function readAll(db: Database): Pick<Salvage, "streams" | "tables"> {
  const streams = new Map<number, StreamRow>()
  const ops = new Map<number, Found>()
  const tables = [
    walk<StreamRow & Place>(db, streams_source, (row) => streams.set(row.seq, row)),
    walk<OpRow>(db, { table: "sturdy_op" }, (row) => {
      const stream_id = streamIdOf(row.seq)
      const found = ops.get(stream_id) ?? { ...nothing }
      ops.set(stream_id, found)
      found.last = row.seq
      found[isWhole(row) ? "readable" : "checksum_wrong"] += 1
    }),
    walk(db, { table: "sturdy_batch", place: "first_seq" }),
    ...["sturdy_dead_letter", "sturdy_superseded", "sturdy_result"].map((table) => walk(db, { table })),
  ]
  const ids = [...new Set([...streams.keys(), ...ops.keys()])].toSorted((a, b) => a - b)
  return {
    streams: ids.map((stream_id) => {
      const { last, ...found } = ops.get(stream_id) ?? nothing
      const stream = streams.get(stream_id)
      return { stream_id, stream: stream?.name ?? null, ...found, ...expectedOf(db, stream_id, stream, last) }
    }),
    tables,
  }
}

interface Found {
  readable: number
  checksum_wrong: number
  /** Place of the last one. */
  last: number
}

const nothing: Found = { readable: 0, checksum_wrong: 0, last: 0 }

interface Place {
  seq: number
}

/** Every row that can be read. */
function walk<Row extends Place>(db: Database, source: Source, each: (row: Row) => void = () => {}): SalvagedTable {
  const found = { table: source.table, readable: 0, gaps: 0 }
  const rows = new RowsAround<Row>(db, source)
  for (let at: number | undefined = 0; at !== undefined;) {
    const part = rows.read(at, source.end ?? Number.MAX_SAFE_INTEGER, room)
    for (const row of part.rows) each(row)
    found.readable += part.rows.length
    found.gaps += part.gaps.length
    at = part.next
  }
  return found
}

/** What the stream's row says; its end is where its last op is. `seen`: the last one that can be read. */
function expectedOf(
  db: Database,
  stream_id: number,
  stream: StreamRow | undefined,
  seen: number,
): Pick<SalvagedStream, "expected" | "expected_is_minimum"> {
  if (!stream || stream.time_closed !== null) return { expected: null, expected_is_minimum: false }
  const { cursor, frozen_seq, gap_count, retained_ops } = stream
  const end = Math.max(seen, frozen_seq, cursor)
  return {
    expected: retained_ops + Math.max(0, end - cursor - gap_count),
    expected_is_minimum: !isEndReadable(db, stream_id),
  }
}

function isEndReadable(db: Database, stream_id: number): boolean {
  const last = db.prepare("select max(seq) from sturdy_op where seq >= ? and seq < ?")
  return unlessDamaged(() => last.get(firstSeq(stream_id), endSeq(stream_id))) !== undefined
}
