/** Looks at an outbox, again and again: each holds the file for as long as one read takes. */
import type { Database } from "bun:sqlite"
import { setTimeout } from "node:timers/promises"
import { SturdyError } from "../../intent/error.ts"
import { type Look, readLook } from "../../inspect/look.ts"
import { readingOutbox } from "../../store/reading.ts"
import { databaseError } from "../outbox/database-error.ts"
import { neverShowThoseOf } from "../outbox/secrets.ts"
import { explained } from "../outbox/looking.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"

export interface LookOptions {
  interval_ms: number
  /** Ends after so many. */
  count: number
  signal: AbortSignal
}

/** What a look showed: the outbox, or why it could not be read. */
export type Seen = { look: Look } | { time: number; fault: SturdyError }

/** `first` was taken already. Ends when the signal says so, at once. */
export async function* looks(place: OutboxPlace, first: Look, options: LookOptions): AsyncGenerator<Seen> {
  const { interval_ms, count, signal } = options
  let due = first.time
  for (let n = 1; !signal.aborted; n++) {
    yield n === 1 ? { look: first } : lookAgain(place)
    if (n >= count) return
    // From look to look, whatever drawing takes; what was missed (a stopped process) is not made up for.
    due = Math.max(due + interval_ms, Date.now())
    await paused(due - Date.now(), signal)
  }
}

function lookAgain(place: OutboxPlace): Seen {
  try {
    return { look: lookAt(place) }
  } catch {
    // Without a -wal SQLite is told that the file does not change; a host that begins just then may be half seen.
  }
  const time = Date.now()
  try {
    return { look: lookAt(place) }
  } catch (error) {
    const fault = explained(databaseError(error), place)
    if (fault instanceof SturdyError) return { time, fault }
    throw fault
  }
}

function lookAt({ file }: OutboxPlace): Look {
  const look = (db: Database) => {
    // Of streams that were opened since.
    neverShowThoseOf(db)
    return readLook(db, Date.now())
  }
  return readingOutbox(file, look, { copies: false })
}

async function paused(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
