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

/** The note for the unit that records how a turn stands: this process works at it, or it is over. */
export function turnNote(outbox: Outbox, session_id: string, message_id: string, isRunning: boolean): Bookmark {
  const { host, boot_id, pid, pid_started } = processIdentity()
  const source = sourceOf(session_id)
  // The place only orders the notes.
  const place = (outbox.bookmark(source)?.place ?? 0) + 1
  return { source, place, mark: isRunning ? JSON.stringify({ message_id, host, boot_id, pid, pid_started }) : over }
}

/** Works a process that may still be there at this turn? Then its state is that process's to say. */
export function isOwned(outbox: Outbox, session_id: string, message_id: string): boolean {
  const owner = ownerOf(outbox, session_id)
  return owner?.message_id === message_id && !processIdentity().isDead(owner)
}

/** Did a process that is dead leave a turn of the session open? */
export function isOrphaned(outbox: Outbox, session_id: string): boolean {
  const owner = ownerOf(outbox, session_id)
  return owner !== undefined && processIdentity().isDead(owner)
}

const over = "over"

function ownerOf(outbox: Outbox, session_id: string): (ProcessName & { message_id: string }) | undefined {
  const mark = outbox.bookmark(sourceOf(session_id))?.mark
  return mark === undefined || mark === over ? undefined : (JSON.parse(mark) as ProcessName & { message_id: string })
}
