/**
 * A new secret for a share's root capability: redeemShare with the old one → rotateSecret → redeemShare with the new one,
 * in one POST. Safe to repeat: whether the new one opens the share is the answer, whichever POST brought it about.
 */
import type { GrantFacts, RedeemInput } from "./contract.ts"
import type { Answer } from "./post.ts"
import type { Protocol } from "./protocol.ts"

export interface Rotation {
  service: string
  headers: Record<string, string>
  /** With the secret that is stored. */
  redeem: RedeemInput
  next_secret: string
}

export interface RotationAnswer {
  grant: Answer<GrantFacts>
  rotated: Answer<{ epoch: number }>
  /** Of the new secret. */
  renewed: Answer<GrantFacts>
}

export type RotatingProtocol = Protocol & Required<Pick<Protocol, "rotate">>

/** The protocol that is remembered of the service, or the first one that knows the call; undefined if it has none. */
export function rotatingBy(protocols: readonly Protocol[], remembered: string | null): RotatingProtocol | undefined {
  const spoken = protocols.find(({ name }) => name === remembered)
  return (spoken ? [spoken] : protocols).find((protocol): protocol is RotatingProtocol => protocol.rotate !== undefined)
}
