/** What an export says of the outbox before its ops. */
import type { Database } from "bun:sqlite"
import { unlessDamaged } from "../../store/fault.ts"
import type { StreamRow } from "../../store/stream.ts"
import { type LeaseSummary, readLease } from "../lease.ts"
import { readSchema, type SchemaSummary } from "../outbox-file.ts"
import { readStreams, type StreamSummary } from "../status.ts"

/** Of a stream's row what says where it stands with its service; its secrets are not among it. */
const kept = [
  "writer_id",
  "service_id",
  "session_id",
  "granted",
  "probing",
  "base_cursor",
  "base_head_op_id",
  "settled_op_id",
  "pruned_op_id",
  "retry_after_at",
  "service_fault_count",
  "time_removal",
  "time_closed",
  "repeat_removal",
  "batch_ops_max",
  "batch_bytes_max",
  "op_bytes_max",
  "time_created",
] as const satisfies (keyof StreamRow)[]

export type ExportedStream = StreamSummary & Pick<StreamRow, (typeof kept)[number]>

export interface OutboxSummary {
  schema: SchemaSummary | null
  /** Null: they cannot be read. */
  streams: ExportedStream[] | null
  lease: LeaseSummary | null
}

/** What is damaged is null. */
export function readOutboxSummary(db: Database, now: number): OutboxSummary {
  return {
    schema: unlessDamaged(() => readSchema(db)) ?? null,
    streams: unlessDamaged(() => exportedStreams(db)) ?? null,
    lease: unlessDamaged(() => readLease(db, now)) ?? null,
  }
}

function exportedStreams(db: Database): ExportedStream[] {
  const rows = db.prepare("select * from sturdy_stream order by stream_id").all() as StreamRow[]
  return readStreams(db).map((summary, index) => {
    const row = rows[index]!
    // A column that a file which an older Sturdy made does not have is null.
    const more = Object.fromEntries(kept.map((column) => [column, row[column] ?? null]))
    return { ...summary, ...(more as Pick<StreamRow, (typeof kept)[number]>) }
  })
}
