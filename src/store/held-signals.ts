/**
 * Work on this thread that a signal must not cut short: what it would leave behind holds secrets. Nothing of ours runs
 * when a signal ends the process, so it is listened for, and ends the process when the work is done.
 */
import type { Clock } from "../intent/seam.ts"

const ending = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const

/** Whoever listens too is told as ever, at the next turn of the event loop. */
export function holdingSignals<T>(clock: Clock, work: () => T): T {
  const end = (signal: NodeJS.Signals) => {
    listenNoMore()
    // In front of the others, since one that listens once is gone when it was told.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }
  const listenNoMore = () => ending.forEach((signal) => process.off(signal, end))
  ending.forEach((signal) => process.prependListener(signal, end))
  try {
    return work()
  } finally {
    // What came meanwhile is told in the next turn.
    clock.soon(() => clock.soon(listenNoMore))
  }
}
