/** The real world behind the seams. The only file besides wire/http.ts that may read a clock or draw a random number. */
import type { Clock, Random, Seams } from "./seam.ts"

/** Never woken: who waits on it wakes when the time is up. */
const never = new Int32Array(new SharedArrayBuffer(4))

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delay_ms, callback, hold) {
    const timeout = setTimeout(callback, delay_ms)
    if (!hold) timeout.unref()
    return { cancel: () => clearTimeout(timeout) }
  },
  soon: (callback) => void setImmediate(callback),
  // Not Bun.sleepSync: below a millisecond it does not sleep (Bun 1.4.5, measured).
  block: (delay_ms) => void Atomics.wait(never, 0, 0, delay_ms),
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
}

export const systemSeams: Seams = { clock: systemClock, random: systemRandom, crashPoint: () => {} }
