/** Blocks: named reasons why a stream does not move. Nothing is dropped by a block; the hint says what lifts it. */

export const blockHints = {
  revoked: "The capability was revoked: ask the share's owner for a new one.",
  expired: "The capability has expired: ask the share's owner for a new one.",
  scope_denied: "The capability does not allow this: ask the share's owner for one with the scope `append`.",
  share_unknown: "The service knows no such share, or the secret is wrong: check the ref.",
  share_removed: "Somebody else removed the share: share again under a new name.",
  server_reset:
    "The service lost what it had acknowledged and nothing is kept here to send again: resync from the source.",
  other_server: "Another service answers at this address: check the URL before anything is sent there.",
  unsupported: "The service does not support this: upgrade it.",
  too_large: "The service takes no batch of this size: raise its limits.",
} as const satisfies Record<string, string>

export type BlockReason = keyof typeof blockHints

export interface Block {
  reason: BlockReason
  /** What the service said, or what was found. */
  message: string
}

export function isBlockReason(code: string): code is BlockReason {
  return Object.hasOwn(blockHints, code)
}
