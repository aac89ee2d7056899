/** The life of a share: created once, removed for ever. */
import { randomId } from "../intent/ulid.ts"
import type { CreateShareInput, SyncInfo } from "../wire/contract.ts"
import { writeAudit } from "./audit.ts"
import { type Bound, check, findSecret, isDenial, permitted } from "./capability.ts"
import type { Core } from "./core.ts"
import { boundBy, type Ref } from "./grant.ts"
import { createInput, parse } from "./input.ts"
import { allScopes, insertCapability } from "./lineage.ts"
import { ShareError } from "./share-error.ts"
import type { Sql } from "./sql-port.ts"

/**
 * Creates a share, or finds that the same was created before.
 *
 * @param input the object form, or a session_id: then id and secret are made here
 * @param origin of its url, without a trailing slash
 */
export function createShare(core: Core, input: unknown, origin: string): SyncInfo {
  const given =
    typeof input === "string"
      ? { share_id: randomId(core.seams.random, 128), secret: randomId(core.seams.random, 256), session_id: input }
      : input
  const wanted = parse(createInput, given)
  const time = core.seams.clock.now()
  core.sql.transaction(() => {
    if (createdBefore(core.sql, wanted)) return
    const row = core.sql.get<{ id: number }>(
      `INSERT INTO share (share_id, session_id, epoch, position, result_purged, time_created)
       VALUES (?, ?, 1, 0, 0, ?) RETURNING id`,
      wanted.share_id,
      wanted.session_id,
      time,
    )
    const share = row!.id
    insertCapability(core, { share, parent: null, depth: 0, scopes: allScopes, secret: wanted.secret, time })
    writeAudit(core.sql, share, { time, capability_id: null, action: "create" })
  })
  return { id: wanted.share_id, url: `${origin}/share/${wanted.share_id}`, secret: wanted.secret }
}

/** @throws ShareError `share_exists`, `share_removed` */
function createdBefore(sql: Sql, wanted: CreateShareInput): boolean {
  const share = sql.get<{ session_id: string; time_removed: number | null }>(
    `SELECT session_id, time_removed FROM share WHERE share_id = ?`,
    wanted.share_id,
  )
  if (!share) return false
  const secret = findSecret(sql, wanted.share_id, wanted.secret)
  if (secret && share.time_removed !== null) throw new ShareError("share_removed", "the share was removed")
  const root =
    secret && sql.get(`SELECT 1 FROM capability WHERE id = ? AND parent IS NULL`, secret.capability) !== undefined
  if (!root || share.session_id !== wanted.session_id)
    throw new ShareError("share_exists", "this id was taken with another secret or session")
  return true
}

/** Deletes what the share held. Its id and the hashes of all its secrets stay, so that nothing late revives it. */
export function removeShare(core: Core, bound: Bound): { removed: true } {
  const time = core.seams.clock.now()
  return core.sql.transaction(() => {
    const found = check(core.sql, bound, "admin", time)
    if (isDenial(found) && found.code === "share_removed" && reachesAdmin(core.sql, bound)) return { removed: true }
    const access = permitted(found)
    core.onRemove(core.sql, access.share)
    for (const table of ["item", "applied", "op", "writer"])
      core.sql.run(`DELETE FROM ${table} WHERE share = ?`, access.share)
    core.sql.run(`UPDATE share SET time_removed = ? WHERE id = ?`, time, access.share)
    writeAudit(core.sql, access.share, { time, capability_id: access.capability_id, action: "remove" })
    return { removed: true }
  })
}

/** For a secret that comes with the request: a removed share cannot be redeemed, and removing it again is no error. */
export function removeShareBy(core: Core, ref: Ref, epoch: number | undefined): { removed: true } {
  const bound = boundBy(core, ref, epoch)
  if (!isDenial(bound)) return removeShare(core, bound)
  const known = bound.code === "share_removed" ? findSecret(core.sql, ref.share_id, ref.secret) : undefined
  if (!known) throw new ShareError(bound.code, bound.message)
  return removeShare(core, { share: known.share, capability: known.capability, epoch: 0 })
}

function reachesAdmin(sql: Sql, bound: Bound): boolean {
  const row = sql.get<{ scopes: string }>(`SELECT scopes FROM capability WHERE id = ?`, bound.capability)
  return row?.scopes.split(" ").includes("admin") ?? false
}
