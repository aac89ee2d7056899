/** A clock that only a test turns. Timers fire in the order of their times, within the turn. */
import type { Clock, Timer } from "../intent/seam.ts"

interface Waiting {
  at: number
  callback: () => void
}

/** So many callbacks at one instant are one that sets its timer again without any time passing. */
const at_one_instant_max = 100_000

export class ManualClock implements Clock {
  #wall: number
  #monotonic = 0
  readonly #waiting = new Set<Waiting>()

  constructor(wall_ms = 1_700_000_000_000) {
    this.#wall = wall_ms
  }

  now(): number {
    return Math.floor(this.#wall)
  }

  monotonic(): number {
    return this.#monotonic
  }

  timer(delay_ms: number, callback: () => void): Timer {
    const waiting = { at: this.#monotonic + Math.max(0, delay_ms), callback }
    this.#waiting.add(waiting)
    return { cancel: () => this.#waiting.delete(waiting) }
  }

  /**
   * Lets time pass on both clocks and fires what falls due.
   *
   * @throws Error if timers are set for the same instant again and again: under a real clock that is a busy loop.
   */
  turn(ms: number): void {
    this.turnTo(this.#monotonic + ms)
  }

  /** The same, up to a time of the monotonic clock: the sum of a difference may fall short of it by a rounding. */
  turnTo(until: number): void {
    let instant = this.#monotonic
    let fired = 0
    for (;;) {
      const next = this.#next()
      if (!next || next.at > until) break
      if (next.at > instant) fired = 0
      instant = Math.max(instant, next.at)
      fired += 1
      if (fired > at_one_instant_max)
        throw new Error(`timers are set again and again without time passing, at ${instant}`)
      this.#waiting.delete(next)
      this.#passTo(next.at)
      next.callback()
    }
    this.#passTo(until)
  }

  /** When the next timer fires, by the monotonic clock; undefined if none is set. */
  get nextAt(): number | undefined {
    return this.#next()?.at
  }

  /** Of two for one time, the one that was set first. */
  #next(): Waiting | undefined {
    let first: Waiting | undefined
    for (const waiting of this.#waiting) if (!first || waiting.at < first.at) first = waiting
    return first
  }

  /** Never back: a callback may have held the thread beyond it. */
  #passTo(at: number): void {
    if (at <= this.#monotonic) return
    this.#wall += at - this.#monotonic
    this.#monotonic = at
  }

  /** Really: what waits for the event loop of the test runs as it would in a host. */
  soon(callback: () => void): void {
    setImmediate(callback)
  }

  /** Time passes while the thread is held: what falls due is late. */
  block(delay_ms: number): void {
    this.#wall += delay_ms
    this.#monotonic += delay_ms
  }

  /** The wall clock jumps, as after a correction; no timer notices. */
  jump(ms: number): void {
    this.#wall += ms
  }
}
