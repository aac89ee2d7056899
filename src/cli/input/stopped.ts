/** A person, or whoever started the command, wants it to end. */

/** What a terminal says to each of its programs, npm says to them again. Later it is a person who will not wait. */
const echo_ms = 1_000

/**
 * Resolves at one of the signals, by default SIGINT or SIGTERM. The command then ends in its own way; a signal that comes later than an echo ends the
 * process. `done`: nobody asked, and the signals do what they always do.
 */
export function stopped(signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM"]): {
  asked: Promise<void>
  done: () => unknown
} {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  const listenNoMore = () => signals.forEach((signal) => process.off(signal, stop))
  let isAsked = false
  const stop = () => {
    isAsked = true
    resolve()
    setTimeout(listenNoMore, echo_ms).unref()
  }
  for (const signal of signals) process.on(signal, stop)
  return { asked, done: () => isAsked || listenNoMore() }
}
