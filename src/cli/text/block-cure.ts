/** What a person at the command line can do about a block: the reason's own words, and the command that lifts it. */
import { type BlockReason, isBlockReason } from "../../flusher/block.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { printable } from "../output/terminal.ts"

/** The reason, and what was said of it. */
export function blockText(reason: string, message: string | null): string {
  return printable(message ? `${reason} (${message})` : reason)
}

export interface Cure {
  text: string
  /** To paste; what a person must fill in is in capitals. */
  command: string | undefined
}

type Rule = [text: string, ...words: string[]]

/** `NAME` stands for the stream. */
const cures: Record<BlockReason, Rule> = {
  revoked: [
    "Get a new capability of the share from its owner; the same ops go on with",
    "unblock",
    "NAME",
    "--secret-file",
    "FILE",
  ],
  expired: [
    "Get a new capability of the share from its owner; the same ops go on with",
    "unblock",
    "NAME",
    "--secret-file",
    "FILE",
  ],
  scope_denied: [
    "If a scope is named, ask the share's owner for it; if an HTTP status is, check the service's key in the host. Then",
    "unblock",
    "NAME",
  ],
  share_unknown: [
    "The service knows no such share, or not this secret. Look at what it is sent with:",
    "ref",
    "show",
    "NAME",
  ],
  share_removed: ["Somebody else removed the share, for ever: let the host share again under a new name."],
  server_reset: [
    "The service lost what it had acknowledged, and it is not kept here. The host's resync hook records it again; without one, go on without it:",
    "unblock",
    "NAME",
  ],
  other_server: [
    "Another service answers at this address and is sent nothing. If ours moved, name it with --service URL; if this one is meant:",
    "unblock",
    "NAME",
    "--accept-server",
  ],
  unsupported: [
    "Check the service's URL and the network (a login page?); it goes on by itself. To look now:",
    "unblock",
    "NAME",
  ],
  too_large: [
    "Raise the limit of the service, or of the proxy before it; it goes on by itself. To look now:",
    "unblock",
    "NAME",
  ],
  service_fault: [
    "The service fails at one unit again and again: mend it there; it goes on by itself. To look now:",
    "unblock",
    "NAME",
  ],
  damaged: ["An op is damaged in the file, and nothing behind it is sent. See which, and what is whole:", "doctor"],
  outbox_full: ["Nothing is recorded until the outbox has drained; see what keeps it."],
  disk_full: ["Free some space: it goes on by itself."],
  database_moved: ["Put the file back; or start the host again."],
}

export function cureOf(reason: string, stream: string, place: OutboxPlace): Cure {
  if (!isBlockReason(reason))
    return { text: "This block is of a newer Sturdy: look with that version.", command: undefined }
  const [text, ...words] = cures[reason]
  const command = words.map((word) => (word === "NAME" ? { name: stream } : word))
  return { text, command: command.length ? commandLine(place, ...command) : undefined }
}

/** Of several streams that stand for the same reason; `first` is one of them. */
export function cureOfAll(reason: string, first: string, place: OutboxPlace): Cure {
  const { text, command } = cureOf(reason, first, place)
  if (!isBlockReason(reason)) return { text, command }
  const words: readonly string[] = cures[reason].slice(1)
  // A secret is that of one share, and so is what another server is to be given.
  const isEach = words[0] !== "unblock" || words.length > 2
  if (isEach) return { text: command === undefined ? text : `${text} (for each of them)`, command }
  return { text, command: commandLine(place, "unblock", "--all", "--reason", reason) }
}
