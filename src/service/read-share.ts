/** Applied ops after a share-wide position: for whoever holds the scope read. */
import { ulidFromBytes } from "../intent/ulid.ts"
import type { AuditEntry, Codec, SharedOp, SharePage } from "../wire/contract.ts"
import { readAudit } from "./audit.ts"
import { type Bound, check, permitted } from "./capability.ts"
import type { Core } from "./core.ts"
import { pageInput, parse } from "./input.ts"
import { page_max } from "./limit.ts"
import type { Sql } from "./sql-port.ts"

interface AppliedRow {
  position: number
  op_id: Uint8Array
  method: string
  codec: Codec
  args: string
  schema_version: number
  actor_id: string | null
  time_created: number
  time_applied: number
}

export function readShare(core: Core, bound: Bound, input: unknown): SharePage {
  const { share, position: last } = permitted(check(core.sql, bound, "read", core.seams.clock.now()))
  const { after = 0, limit = page_max } = parse(pageInput, input ?? {})
  const ops: SharedOp[] = []
  let position = after
  // One row at a time: a page of the largest ops would not fit into one answer.
  let bytes = 0
  while (ops.length < Math.min(limit, page_max) && bytes < core.limits.batch_bytes_max) {
    const op = appliedAfter(core.sql, share, position)
    if (!op) break
    ops.push(op)
    position = op.position
    bytes += Buffer.byteLength(op.args)
  }
  return { ops, next: ops.length && position < last ? position : null }
}

function appliedAfter(sql: Sql, share: number, position: number): SharedOp | undefined {
  const row = sql.get<AppliedRow>(
    `SELECT position, op_id, method, codec, args, schema_version, actor_id, time_created, time_applied
     FROM applied WHERE share = ? AND position > ? ORDER BY position LIMIT 1`,
    share,
    position,
  )
  if (!row) return
  const { actor_id, ...op } = row
  return { ...op, op_id: ulidFromBytes(row.op_id), ...(actor_id === null ? {} : { actor_id }) }
}

export function auditLog(core: Core, bound: Bound, input: unknown): AuditEntry[] {
  const { share } = permitted(check(core.sql, bound, "admin", core.seams.clock.now()))
  const { after = 0, limit = page_max } = parse(pageInput, input ?? {})
  return readAudit(core.sql, share, after, Math.min(limit, page_max))
}
