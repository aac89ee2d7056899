/** Who did what when, without payloads and secrets. */
import type { AuditEntry } from "../wire/contract.ts"
import { message_length_max } from "./limit.ts"
import type { Sql } from "./sql-port.ts"

type Action = "create" | "append" | "sync" | "attenuate" | "revoke" | "rotate" | "remove"

export interface AuditNote {
  time: number
  /** null: the root capability, or whoever created the share. */
  capability_id: string | null
  action: Action
  detail?: string
}

export function writeAudit(sql: Sql, share: number, note: AuditNote): void {
  sql.run(
    `INSERT INTO audit (share, position, time, capability_id, action, detail)
     SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4, ?5 FROM audit WHERE share = ?1`,
    share,
    note.time,
    note.capability_id,
    note.action,
    note.detail?.slice(0, message_length_max) ?? null,
  )
}

interface AuditRow {
  position: number
  time: number
  capability_id: string | null
  action: string
  detail: string | null
}

export function readAudit(sql: Sql, share: number, after: number, limit: number): AuditEntry[] {
  return sql
    .all<AuditRow>(
      `SELECT position, time, capability_id, action, detail FROM audit
       WHERE share = ? AND position > ? ORDER BY position LIMIT CAST(? AS INTEGER)`,
      share,
      after,
      limit,
    )
    .map(({ detail, ...entry }) => (detail === null ? entry : { ...entry, detail }))
}
