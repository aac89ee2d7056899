/**
 * Shares that opencode's built-in client made, before the plugin was there or in a process without it: the outbox takes
 * them over, with id and secret, so that they are kept up to date and can be removed even when their session is gone.
 */
import { isId } from "../intent/ulid.ts"
import type { Outbox, Stream } from "../index.ts"
import { baseOf } from "../wire/endpoint.ts"
import type { KnownShare } from "./event-log.ts"
import type { SessionShares } from "./session-shares.ts"
import { shareId } from "./share-info.ts"

/** The endpoint, of those that are known here, at which the share of this URL is; undefined if at none of them. */
export function serviceOf(url: string, services: readonly (string | undefined)[]): string | undefined {
  const origin = originOf(url)
  return services.find((service) => service !== undefined && originOf(baseOf(service)) === origin)
}

/**
 * The stream of a share that somebody else made: the one that the session has, or a new one.
 *
 * @throws SturdyError as `Outbox.stream`.
 */
export function adopt(shares: SessionShares, share: KnownShare, service: string): Stream {
  return shares.open(share.session_id, (name) => openAdopted(shares.outbox, name, share, service)).stream
}

/** A share without a session that is known: only to be removed. @throws SturdyError as `Outbox.stream` */
export function adoptToRemove(outbox: Outbox, share: Omit<KnownShare, "session_id" | "url">, service: string): void {
  const url = `${baseOf(service)}/share/${share.id}`
  const name = `share ${share.id}`
  const known = outbox.findStream(name)
  const stream = known ?? openAdopted(outbox, name, { ...share, url }, service)
  stream.remove()
}

/** Is this the share of one of our streams? */
export function isOurs(shares: SessionShares, share: KnownShare): boolean {
  const latest = shares.latest(share.session_id)
  return latest !== undefined && shareId(latest) === share.id
}

function openAdopted(outbox: Outbox, name: string, share: Omit<KnownShare, "session_id">, service: string): Stream {
  const { id, secret, url } = share
  // Ids of the form that the contract takes may be redeemed by any protocol; shorter ones only the service itself knows.
  const fits = isId(id) && isId(secret)
  const ref = fits ? { service, share_id: id, secret } : outbox.newRef(service)
  return outbox.stream(name, ref, { adopt: { ...(!fits && { protocol: "rest" }), remote: { id, secret }, url } })
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}
