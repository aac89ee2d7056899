/**
 * The contract as Cap'n Web targets. Every prototype method of a target can be called by anyone who holds it, and
 * nothing else can: state and helpers stay in # members. Arguments are unknown until they are checked below.
 */
import { RpcTarget } from "capnweb"
import { isId } from "../intent/ulid.ts"
import type {
  Ack,
  AppendBatch,
  AuditEntry,
  CreateShareInput,
  Grant,
  GrantFacts,
  LiveShare,
  RedeemInput,
  Refusal,
  SharePage,
  ShareService,
  SyncInfo,
} from "../wire/contract.ts"
import { type Bound, permitted, redeem } from "./capability.ts"
import type { Core } from "./core.ts"
import { appendOps } from "./decide.ts"
import { parse, redeemInput } from "./input.ts"
import { attenuate, revokeCapability, rotateSecret } from "./lineage.ts"
import { readRegister } from "./op-log.ts"
import { auditLog, readShare } from "./read-share.ts"
import { createShare, removeShare } from "./share.ts"
import { ShareError } from "./share-error.ts"
import { SqlBusyError } from "./sql-port.ts"

export class ShareServiceTarget extends RpcTarget implements ShareService {
  readonly #core: Core
  readonly #origin: string

  /** `origin` of the urls that it gives out, without a trailing slash. */
  constructor(core: Core, origin: string) {
    super()
    this.#core = core
    this.#origin = origin
  }

  createShare(input: CreateShareInput | string): SyncInfo {
    return answering(this.#core, () => {
      const { share_id, secret } = createShare(this.#core, input)
      return { id: share_id, url: `${this.#origin}/share/${share_id}`, secret }
    })
  }

  redeemShare(input: RedeemInput): Grant {
    return answering(this.#core, () => {
      const { facts, bound } = redeemFacts(this.#core, input)
      return { ...facts, share: new LiveShareTarget(this.#core, bound) }
    })
  }

  syncShare(): { success: boolean; syncCount: number } {
    throw new ShareError("unsupported", "this server does not take syncShare yet")
  }
}

class LiveShareTarget extends RpcTarget implements LiveShare {
  readonly #core: Core
  readonly #bound: Bound

  constructor(core: Core, bound: Bound) {
    super()
    this.#core = core
    this.#bound = bound
  }

  appendOps(batch: AppendBatch): Ack | Refusal {
    return answering(this.#core, () => appendOps(this.#core, this.#bound, batch))
  }

  readShare(input: { after?: number; limit?: number }): SharePage {
    return answering(this.#core, () => readShare(this.#core, this.#bound, input))
  }

  attenuate(input: { scopes: string[]; expires_at?: number; label?: string }): {
    capability_id: string
    secret: string
  } {
    return answering(this.#core, () => attenuate(this.#core, this.#bound, input))
  }

  revokeCapability(input: { capability_id?: string }): { epoch: number } {
    return answering(this.#core, () => revokeCapability(this.#core, this.#bound, input))
  }

  rotateSecret(input: { secret: string }): { epoch: number } {
    return answering(this.#core, () => rotateSecret(this.#core, this.#bound, input))
  }

  auditLog(input: { after?: number; limit?: number }): AuditEntry[] {
    return answering(this.#core, () => auditLog(this.#core, this.#bound, input))
  }

  removeShare(): { removed: true } {
    return answering(this.#core, () => removeShare(this.#core, this.#bound))
  }
}

/** A grant as plain data, and what a live share is bound to. Reads only. */
function redeemFacts(core: Core, input: unknown): { facts: GrantFacts; bound: Bound } {
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

/** Keeps what was meant for the client; anything else becomes `internal`, and its text stays here. */
function answering<T>(core: Core, body: () => T): T {
  try {
    return body()
  } catch (error) {
    if (error instanceof ShareError) throw error
    if (error instanceof SqlBusyError) throw new ShareError("busy", "the database is locked; nothing was done")
    core.observe({ name: "failure", error })
    throw new ShareError("internal", "the server failed; nothing was done")
  }
}
