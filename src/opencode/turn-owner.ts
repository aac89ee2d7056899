/**
 * Who works at a turn. opencode never ends a turn whose process was killed: its message stays without an end for ever.
 * So the process that records a turn as streaming leaves a note, in the same transaction, and whoever catches up later
 * can tell a turn that is running elsewhere from one that nobody will end. Several processes may work at one session.
 */
import type { Bookmark, Outbox } from "../index.ts"
import type { ProcessName } from "../store/process-identity.ts"
import { type BusEvent, isRecord } from "./event.ts"
import { mapEvent } from "./map-event.ts"
import { isGone, thisProcess } from "./process-note.ts"

interface Note extends ProcessName {
  message_id: string
}

/** Turns of one session that are kept in mind: more than processes, and agents of one, work at the same time. */
const notes_max = 20

function sourceOf(session_id: string): string {
  return `opencode/turn/${session_id}`
}

/** The note for the unit that records how a turn stands: this process works at it, or it is over. None if it is known. */
export function turnNote(
  outbox: Outbox,
  session_id: string,
  message_id: string,
  isRunning: boolean,
): Bookmark | undefined {
  const notes = notesOf(outbox, session_id)
  const others = notes.filter((note) => note.message_id !== message_id)
  if (isRunning) {
    const mine: Note = { message_id, ...thisProcess() }
    const isNoted = notes.some((note) => Bun.deepEquals(note, mine))
    return isNoted ? undefined : put(outbox, session_id, [...others, mine])
  }
  return others.length === notes.length ? undefined : put(outbox, session_id, others)
}

/** The note that is left when the turns of dead processes are said to be over. */
export function withoutDead(outbox: Outbox, session_id: string): Bookmark {
  const alive = notesOf(outbox, session_id).filter((note) => !isGone(note))
  return put(outbox, session_id, alive)
}

/** Works a process that may still be there at this turn? Then its state is that process's to say. */
export function isOwned(outbox: Outbox, session_id: string, message_id: string): boolean {
  return notesOf(outbox, session_id).some((note) => note.message_id === message_id && !isGone(note))
}

/** Did a process that is dead leave a turn of the session open? */
export function isOrphaned(outbox: Outbox, session_id: string): boolean {
  return notesOf(outbox, session_id).some((note) => isGone(note))
}

/** The turns that this process works at, shared or not: a session may be shared in the middle of one. */
export class RunningTurns {
  readonly #messages = new Map<string, Set<string>>()

  /** Never throws. */
  hear(event: BusEvent, session_id: string): void {
    if (event.type === "session.deleted") this.#messages.delete(session_id)
    if (event.type !== "message.updated" || !isRecord(event.properties.info)) return
    const { role, id } = event.properties.info
    if (role !== "assistant" || typeof id !== "string") return
    const running = this.#messages.get(session_id) ?? new Set()
    if (isStreaming(event)) running.add(id)
    else running.delete(id)
    if (running.size > 0) this.#messages.set(session_id, running)
    else this.#messages.delete(session_id)
  }

  of(session_id: string): readonly string[] {
    return [...(this.#messages.get(session_id) ?? [])]
  }
}

function isStreaming(event: BusEvent): boolean {
  try {
    const mapped = mapEvent(event)
    return mapped.kind === "ops" && mapped.ops.some(({ args }) => args[0].state === "streaming")
  } catch {
    return false
  }
}

function put(outbox: Outbox, session_id: string, notes: readonly Note[]): Bookmark {
  const source = sourceOf(session_id)
  // The place only orders the notes.
  const place = (outbox.bookmark(source)?.place ?? 0) + 1
  return { source, place, mark: JSON.stringify(notes.slice(-notes_max)) }
}

function notesOf(outbox: Outbox, session_id: string): Note[] {
  const mark = outbox.bookmark(sourceOf(session_id))?.mark
  return mark === undefined ? [] : (JSON.parse(mark) as Note[])
}
