/**
 * The contract as Cap'n Web targets. Every prototype method of a target can be called by anyone who holds it, and
 * nothing else can: state and helpers stay in # members. Arguments are unknown until they are checked below.
 */
import { RpcTarget } from "capnweb"
import type {
  Ack,
  AppendBatch,
  AuditEntry,
  CreateShareInput,
  Grant,
  LiveShare,
  RedeemInput,
  Refusal,
  SharePage,
  ShareService,
  SyncData,
  SyncInfo,
} from "../wire/contract.ts"
import { answering } from "./answering.ts"
import type { Bound } from "./capability.ts"
import type { Core } from "./core.ts"
import { appendOps } from "./decide.ts"
import { redeemShare } from "./grant.ts"
import { attenuate, revokeCapability, rotateSecret } from "./lineage.ts"
import { auditLog, readShare } from "./read-share.ts"
import { createShare, removeShare } from "./share.ts"
import { syncShare } from "./sync-share.ts"

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
    return answering(this.#core, () => createShare(this.#core, input, this.#origin))
  }

  redeemShare(input: RedeemInput): Grant {
    return answering(this.#core, () => {
      const { facts, bound } = redeemShare(this.#core, input)
      return { ...facts, share: new LiveShareTarget(this.#core, bound) }
    })
  }

  syncShare(share_id: string, secret: string, data: SyncData[]): { success: boolean; syncCount: number } {
    const syncCount = answering(this.#core, () => syncShare(this.#core, { share_id, secret, data }))
    return { success: true, syncCount }
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
