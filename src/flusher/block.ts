/**
 * Blocks: named reasons why a stream does not move. Nothing is dropped by a block. It stops one stream, outlives the
 * process, and is lifted by a probe, by the disk, or by `stream.unblock()`.
 */

/**
 * What can lift a block by itself. `redeem`: a POST that only redeems. `batch`: one that carries the first batch.
 * `disk`: the next write that goes through. `nothing`: what the service says is final, so it is not asked again.
 */
type Probe = "redeem" | "batch" | "disk" | "nothing"

interface BlockRule {
  probe: Probe
  /** What the reader can do about it. */
  hint: string
}

export const blockTable = {
  revoked: {
    probe: "nothing",
    hint: "Ask the share's owner for a new capability, then stream.unblock({ secret }): the same ops go on.",
  },
  expired: {
    probe: "nothing",
    hint: "Ask the share's owner for a new capability, then stream.unblock({ secret }): the same ops go on.",
  },
  scope_denied: {
    probe: "batch",
    hint: "If a scope is named, ask the share's owner for it; if an HTTP status is, check the key in the `headers` option.",
  },
  share_unknown: {
    probe: "redeem",
    hint: "Check share_id and secret of the ref; if the share is yet to be created, it goes on by itself.",
  },
  share_removed: {
    probe: "nothing",
    hint: "Somebody else removed the share, for ever: share again under a new name, or remove() this stream.",
  },
  server_reset: {
    probe: "batch",
    hint: "The service lost what it had acknowledged, and it is not kept here: record it again in the `resync` hook, or go on without it by stream.unblock().",
  },
  other_server: {
    probe: "redeem",
    hint: "Another service answers at this address, and no op is sent to it any more. If ours moved: stream.unblock({ service }); if this one is meant: stream.unblock({ acceptServer: true }).",
  },
  unsupported: {
    probe: "batch",
    hint: "Check the URL of the service and the network (a login page?), or have it upgraded: it goes on by itself.",
  },
  too_large: {
    probe: "batch",
    hint: "One unit is larger than the service, or a proxy before it, takes: raise the limit there; it goes on by itself.",
  },
  service_fault: {
    probe: "batch",
    hint: "The service answers, but fails at this one unit again and again; whether it was applied is not known. Mend the service: it goes on by itself.",
  },
  damaged: {
    probe: "batch",
    hint: "An op is damaged in the outbox file, and nothing behind it is sent: check the disk, keep a copy of the file.",
  },
  outbox_full: {
    probe: "disk",
    hint: "Nothing more is recorded until the outbox has drained; see what keeps it, or raise outboxBytesMax.",
  },
  disk_full: {
    probe: "disk",
    hint: "Free some space: recording and sending go on by themselves.",
  },
  database_moved: {
    probe: "disk",
    hint: "Put the file back and it goes on by itself; or close the outbox and open it again.",
  },
} as const satisfies Record<string, BlockRule>

export type BlockReason = keyof typeof blockTable

export interface Block {
  reason: BlockReason
  /** What the service said, or what was found. */
  message: string
}

export function isBlockReason(code: string): code is BlockReason {
  return Object.hasOwn(blockTable, code)
}

export function probeOf(reason: string): Probe {
  return isBlockReason(reason) ? blockTable[reason].probe : "nothing"
}

export function hintOf(reason: string): string {
  return isBlockReason(reason) ? blockTable[reason].hint : "This block is of a newer Sturdy: look with that version."
}
