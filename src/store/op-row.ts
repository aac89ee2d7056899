/** Rows of `sturdy_op`, and the op that each one is on the wire. */
import type { Statement } from "bun:sqlite"
import type { WireOp } from "../intent/op.ts"
import type { Connection } from "./connection.ts"
import { idsFromBlob, idText } from "./id-blob.ts"
import { wireOp } from "./new-op.ts"

export interface OpRow {
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

const columns = `seq, op_id, time_created, continues, want_result, schema_version, depends_on, supersedes, target,
  actor_id, method, args`

/** Ops with from < seq <= to, in order, at most `count`. */
export function prepareOps(connection: Connection): Statement<OpRow, [from: number, to: number, count: number]> {
  return connection.db.prepare(`select ${columns} from sturdy_op where seq > ? and seq <= ? order by seq limit ?`)
}

export function wireOfRow(row: OpRow): WireOp {
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
