/** The owner of a share: ends grants, changes the secret, gives capabilities that end, and may remove the share. */
import type { Random } from "../../intent/seam.ts"
import type { LiveShare } from "../../wire/contract.ts"
import type { Client } from "../world/client.ts"
import type { World } from "../world/world.ts"

/** What he may be told. */
const refusals: ReadonlySet<string> = new Set(["share_removed", "share_unknown", "revoked", "stale_epoch", "busy"])

export class Owner {
  readonly #random: Random
  /** He removed the share of `s`. */
  hasRemoved = false
  /** He gave it another secret. */
  hasRotated = false

  constructor(readonly world: World) {
    this.#random = world.random()
  }

  raiseEpoch(): Promise<string | undefined> {
    return this.#ask((share) => share.revokeCapability({}), "all grants are over")
  }

  async rotate(): Promise<string | undefined> {
    const secret = Buffer.from(this.#random.bytes(32)).toString("base64url")
    const said = await this.#ask((share) => share.rotateSecret({ secret }), "rotated")
    if (said !== "rotated") return said
    this.world.ref.secret = secret
    this.hasRotated = true
    return said
  }

  async remove(): Promise<string | undefined> {
    const said = await this.#ask((share) => share.removeShare(), "removed")
    this.hasRemoved ||= said === "removed"
    return said
  }

  /** From now on the outbox holds a capability that ends soon. */
  async lend(client: Client, ms: number): Promise<string | undefined> {
    const input = { scopes: ["read", "append", "admin"], expires_at: this.world.clock.now() + ms }
    let secret: string | undefined
    const said = await this.#ask(
      (share) => share.attenuate(input),
      `lent for ${ms} ms`,
      (lent) => (secret = (lent as { secret: string }).secret),
    )
    if (secret === undefined) return said
    this.world.lent.push(secret)
    if (client.opened) client.stream.unblock({ secret })
    return said
  }

  /** Not while the service cannot hear him: he would ask again until he knows. */
  async #ask(
    ask: (share: LiveShare) => unknown,
    done: string,
    take: (answer: unknown) => void = () => {},
  ): Promise<string | undefined> {
    const { server } = this.world
    if (server.isSwapped || server.killed || server.isBusy || server.share !== "live") return
    try {
      take(await server.asOwner(ask))
      return done
    } catch (error) {
      // The share may be without him by now.
      const code = error instanceof Error && "code" in error ? String(error.code) : ""
      if (!refusals.has(code)) throw error
      return `refused ${code}`
    }
  }
}
