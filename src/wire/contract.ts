/**
 * The wire contract: Cap'n Web over HTTP batch at `/rpc/share`, or the calls of an outbox as plain HTTP/JSON beside it.
 * Both ends compile against this file. ARCHITECTURE.md: "Deciding a batch", "Routes of the service".
 */
import type { RpcTarget } from "capnweb"
import type { Codec, WireOp } from "../intent/op.ts"

export type { Codec, WireOp }

export type Scope = "read" | "append" | "admin"

export interface SyncInfo {
  id: string
  url: string
  secret: string
}

export interface CreateShareInput {
  /** At least 96 random bits, made and stored by the client first. */
  share_id: string
  /** At least 256 random bits, made and stored by the client first. */
  secret: string
  session_id: string
}

export interface RedeemInput {
  share_id: string
  secret: string
  /** 128 random bits: one stream of one outbox. */
  writer_id: string
}

/** What the built-in share client of opencode sends: last state wins, by type and id. */
export interface SyncData {
  type: string
  data: unknown
}

export interface ShareService {
  /**
   * Object form: the same again gives the same answer; taken with anything else throws `share_exists`; removed before
   * throws `share_removed`, for ever. String form (legacy): the server makes id and secret.
   */
  createShare(input: CreateShareInput | string): SyncInfo
  /** Reads only. Throws `share_unknown` (also for a wrong secret), `share_removed`, `revoked`, `expired`. */
  redeemShare(input: RedeemInput): Grant
  /** Legacy: upsert by type and id. */
  syncShare(shareID: string, secret: string, data: SyncData[]): { success: boolean; syncCount: number }
}

export interface GrantLimits {
  batch_ops_max: number
  batch_bytes_max: number
  op_bytes_max: number
}

/** Everything of a grant but the live capability. */
export interface GrantFacts {
  share_id: string
  /** Identity of the server's history. A new one is another server, never absorbed silently. */
  service_id: string
  epoch: number
  scopes: Scope[]
  /** Register of this writer: information only, settles nothing. (0, null) for a new one. */
  cursor: number
  head_op_id: string | null
  limits: GrantLimits
}

export interface Grant extends GrantFacts {
  /** Bound to `epoch`; every call checks it. */
  share: LiveShare
}

export interface LiveShare extends RpcTarget {
  /** Scope append. Returns its refusals. */
  appendOps(batch: AppendBatch): Ack | Refusal
  /** Scope read: applied ops after a share-wide position. */
  readShare(input: { after?: number; limit?: number }): SharePage
  /** Scope admin. Never widens. */
  attenuate(input: { scopes: string[]; expires_at?: number; label?: string }): { capability_id: string; secret: string }
  /** Scope admin. With an id: a descendant of the caller and what descends from it. Without: root only, raises the epoch. */
  revokeCapability(input: { capability_id?: string }): { epoch: number }
  /** Root only; safe to repeat; raises the epoch, kills all children. */
  rotateSecret(input: { secret: string }): { epoch: number }
  /** Scope admin: who did what when; no payloads, no secrets. */
  auditLog(input: { after?: number; limit?: number }): AuditEntry[]
  /** Scope admin; idempotent; leaves a tombstone that knows every secret of the share. */
  removeShare(): { removed: true }
}

export interface AppendBatch {
  writer_id: string
  /** A label: the server never decides by it. */
  batch_id: string
  /** The register that this batch was made for. */
  expected_cursor: number
  expected_head_op_id: string | null
  /** The last op of the stream that an Ack settled at this client. Unknown to the server = the server lost data. */
  settled_op_id: string | null
  ops: WireOp[]
}

export interface Rejected {
  op_id: string
  code: string
  message: string
}

/** The server has decided the batch, op by op. Every op of the batch is in exactly one of the three lists. */
export interface Ack {
  batch_id: string
  /** The register after this call. */
  cursor: number
  head_op_id: string
  epoch: number
  applied: string[]
  duplicates: string[]
  rejected: Rejected[]
  /** By op_id: capnweb `serialize()` text of the result. */
  results?: Record<string, string>
}

export const refusalCodes = [
  "gap",
  "server_reset",
  "stale_epoch",
  "revoked",
  "expired",
  "scope_denied",
  "share_unknown",
  "share_removed",
  "too_large",
  "malformed",
  "busy",
  "unsupported",
] as const

export type RefusalCode = (typeof refusalCodes)[number]

/** A refused batch changed nothing. `gap` and `server_reset` carry the register. */
export interface Refusal {
  refused: RefusalCode
  message: string
  cursor?: number
  head_op_id?: string | null
  epoch?: number
  retry_after_ms?: number
}

export const shareErrorCodes = [...refusalCodes, "share_exists"] as const

/**
 * Own property `code` of the errors that every method but appendOps throws: error names do not cross capnweb. They also
 * carry `service_id`: whose word it is.
 */
export type ShareErrorCode = (typeof shareErrorCodes)[number]

export interface SharePage {
  ops: SharedOp[]
  /** Pass as `after` for the next page; null at the end. */
  next: number | null
}

export interface SharedOp {
  position: number
  op_id: string
  method: string
  codec: Codec
  /** References are already replaced by what they named. */
  args: string
  schema_version: number
  actor_id?: string
  time_created: number
  time_applied: number
}

export interface AuditEntry {
  position: number
  time: number
  /** null for the root capability and for the service itself. */
  capability_id: string | null
  action: string
  detail?: string
}
