/** From a sturdy ref to what it gives: a grant as plain data, and what a live share is bound to. Reads only. */
import { isId } from "../intent/ulid.ts"
import type { GrantFacts } from "../wire/contract.ts"
import { type Bound, type Denial, isDenial, permitted, redeem } from "./capability.ts"
import type { Core } from "./core.ts"
import { parse, redeemInput } from "./input.ts"
import { readRegister } from "./op-log.ts"
import { ShareError } from "./share-error.ts"

export interface Ref {
  share_id: string
  secret: string
}

/** @throws ShareError */
export function redeemShare(core: Core, input: unknown): { facts: GrantFacts; bound: Bound } {
  const { share_id, secret, writer_id } = parse(redeemInput, input)
  const access = permitted(redeem(core.sql, { share_id, secret }, core.seams.clock.now()))
  if (!isId(writer_id)) throw new ShareError("malformed", "malformed: writer_id")
  const facts = {
    share_id,
    service_id: core.service_id,
    epoch: access.epoch,
    scopes: access.scopes,
    ...readRegister(core.sql, access.share, writer_id),
    limits: core.limits,
  }
  return { facts, bound: { share: access.share, capability: access.capability, epoch: access.epoch } }
}

/** For a secret that comes with each request: bound to the epoch that the client names, or to that of now. */
export function boundBy(core: Core, ref: Ref, epoch: number | undefined): Bound | Denial {
  const access = redeem(core.sql, ref, core.seams.clock.now())
  if (isDenial(access)) return access
  return { share: access.share, capability: access.capability, epoch: epoch ?? access.epoch }
}
