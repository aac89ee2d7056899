/**
 * An opencode plugin that appends every bus event to the file in TRIAL_EVENTS, a line `{"t": ms since the epoch, "event"}`
 * each. It runs in opencode's own Bun and imports nothing of ours.
 */
import { openSync, writeSync } from "node:fs"

export const Recorder = async () => {
  const file = process.env.TRIAL_EVENTS
  if (!file) return {}
  // For appending: a restarted process goes on in the same recording.
  const fd = openSync(file, "a")
  return {
    // Written at once: the hook is not awaited, and what came before a kill -9 must be known. It never throws: an error
    // here would break the user's turn.
    event: async ({ event }: { event: unknown }) => {
      try {
        writeSync(fd, `${JSON.stringify({ t: Date.now(), event })}\n`)
      } catch {}
    },
  }
}
