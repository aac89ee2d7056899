/**
 * The states of one stream's flusher, as one total table: what is not meant to happen is written as `never`, what is
 * ignored on purpose as `stay`. Pure; stream-flusher.ts does the one I/O that each state names.
 *
 *   idle      nothing to do
 *   sending   an attempt runs: freeze, POST, settle
 *   waiting   the last attempt failed; the next is due later
 *   blocked   a named reason stops this stream: only a removal of its share is sent, by a run of its own
 *   closed    the share was removed: only that removal may ever be sent again
 *   stopped   this process no longer flushes: lease lost, paused, or closing
 */
export const states = ["idle", "sending", "waiting", "blocked", "closed", "stopped"] as const
export type State = (typeof states)[number]

export const events = ["work", "settled", "drained", "failed", "due", "refused", "removed", "stop"] as const
export type Event = (typeof events)[number]

type Cell = State | "stay" | "never"

// prettier-ignore
export const grid: Record<State, Record<Event, Cell>> = {
  idle:    { work: "sending", settled: "never", drained: "never", failed: "never",   due: "stay",    refused: "never",   removed: "never",  stop: "stopped" },
  sending: { work: "stay",    settled: "stay",  drained: "idle",  failed: "waiting", due: "stay",    refused: "blocked", removed: "closed", stop: "stopped" },
  waiting: { work: "stay",    settled: "never", drained: "never", failed: "never",   due: "sending", refused: "never",   removed: "never",  stop: "stopped" },
  blocked: { work: "stay",    settled: "never", drained: "never", failed: "never",   due: "stay",    refused: "never",   removed: "never",  stop: "stopped" },
  closed:  { work: "sending", settled: "never", drained: "never", failed: "never",   due: "stay",    refused: "never",   removed: "never",  stop: "stay" },
  stopped: { work: "sending", settled: "stay",  drained: "stay",  failed: "stay",    due: "stay",    refused: "stay",    removed: "closed", stop: "stay" },
}

/** The next state. Throws if the event cannot happen there: a bug of the caller's. */
export function step(state: State, event: Event): State {
  const cell = grid[state][event]
  if (cell === "never") throw new TypeError(`a stream that is ${state} cannot be ${event}`)
  return cell === "stay" ? state : cell
}
