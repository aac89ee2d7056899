/** A clock that only a test turns. Timers fire in the order of their times, within the turn. */
import type { Clock, Timer } from "../intent/seam.ts"

interface Waiting {
  at: number
  callback: () => void
}

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

  /** Lets time pass on both clocks and fires what falls due. */
  turn(ms: number): void {
    const until = this.#monotonic + ms
    for (;;) {
      const next = [...this.#waiting].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#waiting.delete(next)
      this.#wall += next.at - this.#monotonic
      this.#monotonic = next.at
      next.callback()
    }
    this.#wall += until - this.#monotonic
    this.#monotonic = until
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
