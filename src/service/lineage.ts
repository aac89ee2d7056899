/** The capabilities of a share: what descends from the root, how far it reaches and when it ends. */
import { randomId } from "../intent/ulid.ts"
import type { Scope } from "../wire/contract.ts"
import { writeAudit } from "./audit.ts"
import { type Access, type Bound, check, hashOf, isDenial, permitted } from "./capability.ts"
import type { Core } from "./core.ts"
import { attenuateInput, parse, revokeInput, rotateInput } from "./input.ts"
import { capabilities_max, capability_depth_max } from "./limit.ts"
import { ShareError } from "./share-error.ts"
import type { Sql } from "./sql-port.ts"

export const allScopes: readonly Scope[] = ["read", "append", "admin"]

/** A new capability under the caller's: never wider, never longer. */
export function attenuate(core: Core, bound: Bound, input: unknown): { capability_id: string; secret: string } {
  const time = core.seams.clock.now()
  return core.sql.transaction(() => {
    const parent = permitted(check(core.sql, bound, "admin", time))
    const wanted = parse(attenuateInput, input)
    if (wanted.scopes.some((scope) => !parent.scopes.includes(scope)))
      throw new ShareError("scope_denied", "a capability cannot give more than it has")
    if (parent.depth >= capability_depth_max)
      throw new ShareError("too_large", `at most ${capability_depth_max} attenuations below each other`)
    const count = core.sql.get<{ n: number }>(`SELECT count(*) AS n FROM capability WHERE share = ?`, parent.share)
    if (count!.n >= capabilities_max) throw new ShareError("too_large", `at most ${capabilities_max} capabilities`)
    const secret = randomId(core.seams.random, 256)
    const capability_id = insertCapability(core, {
      share: parent.share,
      parent: parent.capability,
      depth: parent.depth + 1,
      scopes: allScopes.filter((scope) => wanted.scopes.includes(scope)),
      secret,
      time,
      label: wanted.label,
      expires_at: earlier(wanted.expires_at, parent.expires_at),
    })
    const detail = `${capability_id} ${wanted.scopes.join(" ")}`
    writeAudit(core.sql, parent.share, { time, capability_id: parent.capability_id, action: "attenuate", detail })
    return { capability_id, secret }
  })
}

function earlier(wanted: number | undefined, parent: number | null): number | null {
  if (wanted === undefined) return parent
  return parent === null ? wanted : Math.min(wanted, parent)
}

interface NewCapability {
  share: number
  parent: number | null
  depth: number
  scopes: readonly Scope[]
  secret: string
  time: number
  label?: string | undefined
  expires_at?: number | null
}

export function insertCapability(core: Core, capability: NewCapability): string {
  const capability_id = randomId(core.seams.random, 128)
  const row = core.sql.get<{ id: number }>(
    `INSERT INTO capability (share, capability_id, parent, depth, scopes, label, expires_at, time_created)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
    capability.share,
    capability_id,
    capability.parent,
    capability.depth,
    capability.scopes.join(" "),
    capability.label ?? null,
    capability.expires_at ?? null,
    capability.time,
  )
  insertSecret(core.sql, capability.share, row!.id, hashOf(capability.secret))
  return capability_id
}

function insertSecret(sql: Sql, share: number, capability: number, secret_hash: Uint8Array): void {
  sql.run(
    `INSERT INTO capability_secret (share, secret_hash, capability, retired) VALUES (?, ?, ?, 0)`,
    share,
    secret_hash,
    capability,
  )
}

/** With an id: that descendant and all below it. Without: everything but the root, and every live grant. */
export function revokeCapability(core: Core, bound: Bound, input: unknown): { epoch: number } {
  const time = core.seams.clock.now()
  return core.sql.transaction(() => {
    const caller = permitted(check(core.sql, bound, "admin", time))
    const { capability_id } = parse(revokeInput, input ?? {})
    const audit = { time, capability_id: caller.capability_id, action: "revoke" } as const
    if (capability_id !== undefined) {
      revokeDescendant(core.sql, caller, capability_id, time)
      writeAudit(core.sql, caller.share, { ...audit, detail: capability_id })
      return { epoch: caller.epoch }
    }
    if (!caller.root) throw new ShareError("scope_denied", "only the root capability revokes all others")
    writeAudit(core.sql, caller.share, { ...audit, detail: "all" })
    return { epoch: endEpoch(core.sql, caller, time) }
  })
}

function revokeDescendant(sql: Sql, caller: Access, capability_id: string, time: number): void {
  const below = `WITH RECURSIVE below (id) AS (
      SELECT id FROM capability WHERE parent = ?1
      UNION ALL SELECT c.id FROM capability c JOIN below b ON c.parent = b.id
    )`
  const target = sql.get<{ id: number }>(
    `${below} SELECT c.id FROM capability c JOIN below b ON c.id = b.id WHERE c.capability_id = ?2`,
    caller.capability,
    capability_id,
  )
  // One answer for unknown and not below the caller: ids of others are not to be found out.
  if (!target) throw new ShareError("scope_denied", "no such capability below this one")
  sql.run(
    `${below} UPDATE capability SET time_revoked = ?2
     WHERE time_revoked IS NULL AND (id = ?1 OR id IN (SELECT id FROM below))`,
    target.id,
    time,
  )
}

/** All capabilities but the root are dead, and so is every grant that was redeemed before. */
function endEpoch(sql: Sql, root: Access, time: number): number {
  sql.run(
    `UPDATE capability SET time_revoked = ? WHERE share = ? AND parent IS NOT NULL AND time_revoked IS NULL`,
    time,
    root.share,
  )
  sql.run(`UPDATE share SET epoch = ? WHERE id = ?`, root.epoch + 1, root.share)
  return root.epoch + 1
}

/** Gives the root capability the new secret. The old one answers `revoked` from now on. */
export function rotateSecret(core: Core, bound: Bound, input: unknown): { epoch: number } {
  const time = core.seams.clock.now()
  return core.sql.transaction(() => {
    const { secret } = parse(rotateInput, input)
    const found = check(core.sql, bound, "admin", time)
    const hash = hashOf(secret)
    const now = core.sql.get<{ epoch: number; capability: number; retired: number }>(
      `SELECT s.epoch, cs.capability, cs.retired FROM share s
       JOIN capability_secret cs ON cs.share = s.id AND cs.secret_hash = ? WHERE s.id = ?`,
      hash,
      bound.share,
    )
    const repeated = now?.capability === bound.capability && !now.retired
    // The grant of the first call is stale by that very call.
    if (repeated && (!isDenial(found) || found.code === "stale_epoch")) return { epoch: now.epoch }
    const root = permitted(found)
    if (!root.root) throw new ShareError("scope_denied", "only the root capability changes its secret")
    if (now) throw new ShareError("malformed", "this secret was used before")
    core.sql.run(
      `UPDATE capability_secret SET retired = 1 WHERE share = ? AND capability = ?`,
      root.share,
      root.capability,
    )
    insertSecret(core.sql, root.share, root.capability, hash)
    writeAudit(core.sql, root.share, { time, capability_id: null, action: "rotate" })
    return { epoch: endEpoch(core.sql, root, time) }
  })
}
