/**
 * Who works at a turn. opencode never ends a turn whose process was killed: its message stays without an end for ever.
 * So the process that records a turn as streaming leaves a note, in the same transaction, and whoever catches up later
 * can tell a turn that is running elsewhere from one that nobody will end.
 */
import type { Bookmark, Outbox } from "../index.ts"
import { type ProcessName, processIdentity } from "../store/process-identity.ts"

/** One note per session: a process works at one turn of a session at a time. */
function sourceOf(session_id: string): string {
  return `opencode/turn/${session_id}`
}

/** The note that this process works at the turn, for the unit that records its message. */
export function ownTurn(outbox: Outbox, session_id: string, message_id: string): Bookmark {
  const { host, boot_id, pid, pid_started } = processIdentity()
  const source = sourceOf(session_id)
  // The place only orders the notes.
  const place = (outbox.bookmark(source)?.place ?? 0) + 1
  return { source, place, mark: JSON.stringify({ message_id, host, boot_id, pid, pid_started }) }
}

/** May somebody still end the turn? Then its state is theirs to say. */
export function isOwned(outbox: Outbox, session_id: string, message_id: string): boolean {
  const mark = outbox.bookmark(sourceOf(session_id))?.mark
  if (mark === undefined) return false
  const owner = JSON.parse(mark) as ProcessName & { message_id: string }
  return owner.message_id === message_id && !processIdentity().isDead(owner)
}
