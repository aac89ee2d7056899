/**
 * Capabilities: a root per share and what was attenuated from it. The database holds SHA-256 hashes of secrets only.
 * A grant binds (share, capability, epoch) once; every later call is checked here against what is true now.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { isId } from "../intent/ulid.ts"
import type { RedeemInput, Scope, ShareErrorCode } from "../wire/contract.ts"
import { ShareError } from "./share-error.ts"
import type { Sql } from "./sql-port.ts"

/** What a live grant is bound to. */
export interface Bound {
  /** Row numbers: nothing that a client could guess or choose. */
  share: number
  capability: number
  epoch: number
}

/** A bound capability that is valid now. */
export interface Access {
  share: number
  share_id: string
  session_id: string
  epoch: number
  position: number
  result_purged: number
  capability: number
  /** null for the root capability. */
  capability_id: string | null
  root: boolean
  depth: number
  scopes: Scope[]
  expires_at: number | null
}

/** Why a capability gives nothing now. The codes are both refusals and errors. */
export interface Denial {
  code: Extract<
    ShareErrorCode,
    "share_unknown" | "share_removed" | "revoked" | "expired" | "stale_epoch" | "scope_denied"
  >
  message: string
  epoch?: number
}

interface SecretRow {
  secret_hash: Uint8Array
  share: number
  capability: number
  retired: number
}

interface AccessRow {
  share_id: string
  session_id: string
  epoch: number
  position: number
  result_purged: number
  time_removed: number | null
  capability_id: string
  parent: number | null
  depth: number
  scopes: string
  expires_at: number | null
  time_revoked: number | null
}

export function hashOf(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest()
}

/** The row of a secret of this share, dead or alive. */
export function findSecret(sql: Sql, share_id: string, secret: string): SecretRow | undefined {
  const hash = hashOf(secret)
  // The index search is by a hash of 256 bits that its sender cannot steer, so its timing tells nothing of the secret.
  const row = sql.get<SecretRow>(
    `SELECT cs.secret_hash, cs.share, cs.capability, cs.retired
     FROM share s JOIN capability_secret cs ON cs.share = s.id AND cs.secret_hash = ? WHERE s.share_id = ?`,
    hash,
    share_id,
  )
  return row && timingSafeEqual(row.secret_hash, hash) ? row : undefined
}

/** Redeems a sturdy ref. A wrong secret and an unknown share are alike to the caller. */
export function redeem(sql: Sql, input: Omit<RedeemInput, "writer_id">, now: number): Access | Denial {
  const known = isId(input.share_id) && isId(input.secret) ? findSecret(sql, input.share_id, input.secret) : undefined
  if (!known) return { code: "share_unknown", message: "no such share, or not its secret" }
  const row = accessRow(sql, known)
  if (row?.time_removed == null && known.retired)
    return { code: "revoked", message: "the secret of this capability was replaced" }
  return judge(row, known, now)
}

/** Checks a bound capability: is it, its share and its epoch valid now, and does it reach this far? */
export function check(sql: Sql, bound: Bound, scope: Scope | undefined, now: number): Access | Denial {
  const access = judge(accessRow(sql, bound), bound, now)
  if (isDenial(access)) return access
  if (access.epoch !== bound.epoch)
    return { code: "stale_epoch", message: `redeemed at epoch ${bound.epoch}`, epoch: access.epoch }
  if (scope && !access.scopes.includes(scope))
    return { code: "scope_denied", message: `this capability lacks the scope ${scope}` }
  return access
}

export function isDenial(value: object): value is Denial {
  return "code" in value
}

/** For every method but appendOps, which returns its refusals. */
export function permitted(access: Access | Denial): Access {
  if (isDenial(access)) throw new ShareError(access.code, access.message)
  return access
}

function accessRow(sql: Sql, at: { share: number; capability: number }): AccessRow | undefined {
  return sql.get<AccessRow>(
    `SELECT s.share_id, s.session_id, s.epoch, s.position, s.result_purged, s.time_removed,
       c.capability_id, c.parent, c.depth, c.scopes, c.expires_at, c.time_revoked
     FROM share s JOIN capability c ON c.share = s.id WHERE s.id = ? AND c.id = ?`,
    at.share,
    at.capability,
  )
}

function judge(row: AccessRow | undefined, at: { share: number; capability: number }, now: number): Access | Denial {
  if (!row) return { code: "share_unknown", message: "no such share, or not its secret" }
  if (row.time_removed !== null) return { code: "share_removed", message: "the share was removed" }
  if (row.time_revoked !== null) return { code: "revoked", message: "the capability was revoked" }
  if (row.expires_at !== null && row.expires_at <= now) return { code: "expired", message: "the capability expired" }
  return {
    share: at.share,
    share_id: row.share_id,
    session_id: row.session_id,
    epoch: row.epoch,
    position: row.position,
    result_purged: row.result_purged,
    capability: at.capability,
    capability_id: row.parent === null ? null : row.capability_id,
    root: row.parent === null,
    depth: row.depth,
    scopes: row.scopes.split(" ") as Scope[],
    expires_at: row.expires_at,
  }
}
