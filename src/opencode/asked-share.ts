/**
 * Shares that somebody asked for and was not told of yet. Only the service may know the URL, and the answer may take
 * seconds: if the process is killed meanwhile, nobody knows of that share, and it must not be made, and filled, later.
 */
import type { Outbox } from "../index.ts"
import { isGone, thisProcess } from "./process-note.ts"

function sourceOf(session_id: string): string {
  return `opencode/asked/${session_id}`
}

/** On disk before the share is: this process waits for an answer. The function that is returned notes that it came. */
export function noteAsked(outbox: Outbox, session_id: string): () => void {
  const note = (mark: string) => {
    const source = sourceOf(session_id)
    const place = (outbox.bookmark(source)?.place ?? 0) + 1
    outbox.unit(() => {}, { bookmark: { source, place, mark } })
  }
  note(JSON.stringify(thisProcess()))
  return () => note(answered)
}

/** Did a process that is no more ask for it, and die before it was answered? */
export function wasAbandoned(outbox: Outbox, session_id: string): boolean {
  const mark = outbox.bookmark(sourceOf(session_id))?.mark
  return mark !== undefined && mark !== answered && isGone(JSON.parse(mark) as ReturnType<typeof thisProcess>)
}

const answered = "answered"
