/** A service that is wrong in one way: the real decision core, with what comes in or goes out changed on its way. */
import { RpcTarget } from "capnweb"
import { type Core, openCore } from "../../src/service/core.ts"
import { answerBatch } from "../../src/service/rpc.ts"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import type { ServicePlace, ServiceSubject } from "../../src/testing/conformance/index.ts"
import { ulidToBytes } from "../../src/intent/ulid.ts"
import type {
  Ack,
  AppendBatch,
  CreateShareInput,
  Grant,
  LiveShare,
  RedeemInput,
  Refusal,
  SharePage,
} from "../../src/wire/contract.ts"
import { count, methods, table } from "./own-service.ts"

export interface Wrong {
  /** Instead of the real appendOps, which is `decide`. */
  append?: (decide: (batch: AppendBatch) => Ack | Refusal, batch: AppendBatch, at: At) => Ack | Refusal
  redeem?: (redeem: (input: RedeemInput) => Grant, input: RedeemInput) => Grant
  create?: (create: (input: CreateShareInput) => unknown, input: CreateShareInput, core: Core) => unknown
  remove?: (remove: () => { removed: true }, at: At) => { removed: true }
  read?: (read: () => SharePage) => SharePage
  /** Instead of one line after the other. */
  answer?: (lines: string[], answer: (lines: string[]) => Promise<string>) => Promise<string>
  restart?: (core: Core) => void
}

export interface Planted {
  wrong: Wrong
  /** Beginning of the name of a check that must fail, and of what it appeals to. */
  caught: [check: string, law: string][]
  /** Parts of what is told of the first of them. */
  says?: string[]
}

export const isAck = (answer: Ack | Refusal): answer is Ack => !("refused" in answer)

export interface At {
  core: Core
  input: RedeemInput
  register: () => { cursor: number; head_op_id: string | null }
  /** Is the op_id known to the share? */
  knows: (op_id: string) => boolean
  /** The grant as it would be now. */
  again: () => Grant
}

interface WrongPlace extends ServicePlace {
  core: Core
}

export function wrongSubject(wrong: Wrong): ServiceSubject<WrongPlace> {
  return {
    methods: { applied: { method: "put" }, rejected: { method: "refuse" }, echo: "echo", failing: { method: "fail" } },
    effects: ({ core }, op_id) => core.sql.all(count, op_id).length,
    restart: ({ core }) => wrong.restart?.(core),
    make() {
      const sql = openShareServiceFile(":memory:")
      sql.run(table)
      const core = openCore({ sql, methods })
      const answer = (lines: string[]) => answerBatch(lines, new WrongTarget(core, wrong))
      return {
        core,
        service: "https://share.example/rpc/share",
        async fetch(request) {
          const lines = (await request.text()).split("\n")
          return new Response(await (wrong.answer?.(lines, answer) ?? answer(lines)))
        },
        close: () => sql.close(),
      }
    },
  }
}

class WrongTarget extends RpcTarget {
  readonly #core: Core
  readonly #real: ShareServiceTarget
  readonly #wrong: Wrong

  constructor(core: Core, wrong: Wrong) {
    super()
    this.#core = core
    this.#real = new ShareServiceTarget(core, "https://share.example")
    this.#wrong = wrong
  }

  createShare(input: CreateShareInput) {
    const create = (input: CreateShareInput) => this.#real.createShare(input)
    return this.#wrong.create?.(create, input, this.#core) ?? create(input)
  }

  redeemShare(input: RedeemInput) {
    const redeem = (input: RedeemInput) => this.#real.redeemShare(input)
    const grant = this.#wrong.redeem?.(redeem, input) ?? redeem(input)
    const at: At = {
      core: this.#core,
      input,
      again: () => redeem(input),
      register: () => redeem(input),
      knows: (op_id) => this.#core.sql.get("SELECT 1 FROM op WHERE op_id = ?", ulidToBytes(op_id)) !== undefined,
    }
    return { ...grant, share: new WrongShare(grant.share, this.#wrong, at) }
  }
}

class WrongShare extends RpcTarget {
  readonly #real: LiveShare
  readonly #wrong: Wrong
  readonly #at: At

  constructor(real: LiveShare, wrong: Wrong, at: At) {
    super()
    this.#real = real
    this.#wrong = wrong
    this.#at = at
  }

  appendOps(batch: AppendBatch) {
    const decide = (batch: AppendBatch) => this.#real.appendOps(batch)
    // What is no batch is left to the real one.
    const isBatch = typeof batch === "object" && batch !== null && Array.isArray(batch.ops)
    return (isBatch ? this.#wrong.append?.(decide, batch, this.#at) : undefined) ?? decide(batch)
  }

  removeShare() {
    const remove = () => this.#real.removeShare()
    return this.#wrong.remove?.(remove, this.#at) ?? remove()
  }

  readShare(input: object) {
    const read = () => this.#real.readShare(input)
    return this.#wrong.read?.(read) ?? read()
  }

  attenuate(input: { scopes: string[] }) {
    return this.#real.attenuate(input)
  }

  revokeCapability(input: object) {
    return this.#real.revokeCapability(input)
  }

  rotateSecret(input: { secret: string }) {
    return this.#real.rotateSecret(input)
  }

  auditLog(input: object) {
    return this.#real.auditLog(input)
  }
}
