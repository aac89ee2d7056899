/**
 * Is everything that opencode committed in the outbox, in its order? Asked of opencode's own event log, from where it was
 * asked last. Event by event, since ids and log order are opencode's; a "no" is mended by comparing states (catch-up.ts).
 */
import { type Outbox, type Stream, SturdyError } from "../index.ts"
import type { BusEvent } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { mapEvent, type Mapped } from "./map-event.ts"

/** Events looked at between two turns of the event loop: each is parsed by SQLite, and looked up by its id. */
const page_events = 50

/** The place in the log up to which the stream is known to be complete. */
function bookmarkOf(stream: Stream): string {
  return `opencode/log/${stream.name}`
}

/** After a catch-up: everything up to this event, which was there before the states were read, is in the outbox. */
export function checked(outbox: Outbox, stream: Stream, seq: number): void {
  outbox.unit(() => {}, { bookmark: { source: bookmarkOf(stream), place: seq + 1 } })
}

/**
 * True if it is certain that nothing is missing, and nothing newer was overwritten by something older. Of the session's
 * own info nothing is said: opencode changes it without an event, so that it is compared each time.
 */
export async function isComplete(
  outbox: Outbox,
  log: EventLog,
  session_id: string,
  stream: Stream,
  turn: () => Promise<void>,
): Promise<boolean> {
  const from = outbox.bookmark(bookmarkOf(stream))
  if (!from) return false
  let seq = from.place - 1
  /** The op that stands for the last event of each key. */
  const last = new Map<string, string | undefined>()
  for (;;) {
    const page = log.after(session_id, seq, page_events)
    if (!page) return false
    if (page.length === 0) break
    for (const { seq: place, event } of page) {
      // opencode numbers them without gaps: what is not there any more may be what was missed.
      if (place !== ++seq) return false
      const mapped = mappedOrNone(event)
      if (!mapped) return false
      if (mapped.kind !== "ops") continue
      for (const { key, captureId, endsKeys } of mapped.ops) {
        const captured = stream.captured(captureId)
        if (!captured) return false
        last.set(key, captured.op_id)
        if (endsKeys) for (const below of last.keys()) if (below.startsWith(endsKeys)) last.delete(below)
      }
    }
    await turn()
  }
  // The rows of the last ones are gone, or the session began anew.
  if (log.lastSeq(session_id) !== seq) return false
  if (seq === from.place - 1) return true
  last.delete("session")
  const items = stream.items()
  for (const [key, op_id] of last) if (op_id !== undefined && items.get(key) !== op_id) return false
  checked(outbox, stream, seq)
  return true
}

/** None of an event whose form is not known here: then states tell. */
function mappedOrNone(event: BusEvent): Mapped | undefined {
  try {
    return mapEvent(event)
  } catch (error) {
    if (error instanceof SturdyError) return
    throw error
  }
}
