/** The real world behind the seams. The only file besides wire/http.ts that may read a clock or draw a random number. */
import type { Clock, Random, Seams } from "./seam.ts"

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delay_ms, callback, hold) {
    const timeout = setTimeout(callback, delay_ms)
    if (!hold) timeout.unref()
    return { cancel: () => clearTimeout(timeout) }
  },
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
}

export const systemSeams: Seams = { clock: systemClock, random: systemRandom, crashPoint: () => {} }
