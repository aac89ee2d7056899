/** Rows of `sturdy_op`, the op that each one is on the wire, and the checksum between the two. */
import type { Statement } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import type { WireOp } from "../intent/op.ts"
import type { Connection } from "./connection.ts"
import { idsFromBlob, idText } from "./id-blob.ts"
import { wireOp } from "./new-op.ts"
import { localSeq } from "./stream.ts"

/** The columns that make the op on the wire, and its place. */
export interface StoredOp {
  seq: number
  op_id: Uint8Array
  time_created: number
  continues: number | null
  want_result: number | null
  schema_version: number | null
  depends_on: Uint8Array | null
  supersedes: Uint8Array | null
  target: string | null
  actor_id: string | null
  method: string
  args: string
}

export interface OpRow extends StoredOp {
  /** null: recorded by a Sturdy that wrote none. */
  checksum: number | null
}

const columns = `seq, op_id, time_created, continues, want_result, schema_version, depends_on, supersedes, target,
  actor_id, method, args, checksum`

/** Ops with from < seq <= to, in order, at most `count`. */
export function prepareOps(connection: Connection): Statement<OpRow, [from: number, to: number, count: number]> {
  return connection.db.prepare(`select ${columns} from sturdy_op where seq > ? and seq <= ? order by seq limit ?`)
}

/** The numbers of a row and the lengths of its texts, as bytes: a text of them would cost more than the rest of the sum. */
const numbers = new Float64Array(10)

/**
 * CRC-32 of the columns that make what is sent, and of its place: SQLite has no checksums of its own, and a byte that
 * flips within a row is damage that neither it nor the server can see. Of columns, not of the wire text: a field that a
 * later version adds must not make the rows of this one look damaged. 0.2 µs for 300 bytes of arguments.
 */
export function checksumOf(row: StoredOp): number {
  const { crc32 } = Bun.hash
  numbers[0] = row.seq
  numbers[1] = row.time_created
  numbers[2] = row.continues ?? 0
  numbers[3] = row.want_result ?? 0
  numbers[4] = row.schema_version ?? 0
  // Else a bit of the row's header could hand the end of one column to the next, and the sum would be the same.
  numbers[5] = row.method.length
  numbers[6] = row.target?.length ?? -1
  numbers[7] = row.actor_id?.length ?? -1
  numbers[8] = row.depends_on?.length ?? -1
  numbers[9] = row.supersedes?.length ?? -1
  let sum = crc32(row.args, crc32(row.method, crc32(row.op_id, crc32(numbers))))
  if (row.target !== null) sum = crc32(row.target, sum)
  if (row.actor_id !== null) sum = crc32(row.actor_id, sum)
  if (row.depends_on) sum = crc32(row.depends_on, sum)
  if (row.supersedes) sum = crc32(row.supersedes, sum)
  return sum
}

/** The op as it is sent. @throws SturdyError `op_damaged` if the row is not what was recorded. */
export function wireOfRow(row: OpRow, stream: { name: string }): WireOp {
  refuseDamaged(row, stream)
  return wireOp({
    op_id: idText(row.op_id),
    ...(row.target !== null && { target: JSON.parse(row.target) }),
    method: row.method,
    args: row.args,
    depends_on: row.depends_on ? idsFromBlob(row.depends_on) : [],
    supersedes: row.supersedes ? idsFromBlob(row.supersedes) : [],
    want_result: row.want_result !== null,
    schema_version: row.schema_version ?? 1,
    actor_id: row.actor_id ?? undefined,
    time_created: row.time_created,
  })
}

/** Is the row what was recorded, as far as its checksum can tell? */
export function isWhole(row: OpRow): boolean {
  const found = isTyped(row) ? checksumOf(row) : undefined
  // A file that was made by a Sturdy without checksums, and is only read, has no such column.
  const recorded = row.checksum ?? null
  return recorded === null ? found !== undefined && isPlausible(row) : found === recorded
}

function refuseDamaged(row: OpRow, stream: { name: string }): void {
  if (isWhole(row)) return
  const found = isTyped(row) ? checksumOf(row) : undefined
  const op_id = found === undefined ? "its op_id may be damaged too" : idText(row.op_id)
  throw new SturdyError(
    "op_damaged",
    `stream ${stream.name}: op ${localSeq(row.seq)} (${op_id}) is damaged in the file: its checksum is ${found ?? "none"}, recorded was ${row.checksum ?? "none"}; nothing was sent`,
    "Check the disk, and keep a copy of the file and its -wal. The stream stands here until the row is mended, or both files are moved away.",
  )
}

/** A bit of the row's header can take the checksum away and move the other columns: without one, texts must be in form. */
function isPlausible({ args, target, depends_on, supersedes }: OpRow): boolean {
  const ids = [depends_on, supersedes].every((blob) => (blob?.length ?? 0) % 16 === 0)
  return ids && isList(args) && (target === null || isList(target))
}

function isList(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text))
  } catch {
    return false
  }
}

/** One bit makes a text a blob of the same bytes. */
function isTyped({ op_id, args, method, target, actor_id, depends_on, supersedes }: OpRow): boolean {
  const texts = [args, method, target ?? "", actor_id ?? ""].every((text) => typeof text === "string")
  const blobs = [op_id, depends_on, supersedes].every((blob) => blob === null || blob instanceof Uint8Array)
  return texts && blobs && op_id.length === 16
}
