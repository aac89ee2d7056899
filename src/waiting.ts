/** What callers wait for: conditions looked at whenever something was settled. While anybody waits, the process stays. */
import { SturdyError } from "./intent/error.ts"
import type { Clock, Timer } from "./intent/seam.ts"

interface Waiter {
  /** Settles its promise and returns true once the condition holds. */
  look: () => boolean
  fail: (error: Error) => void
}

/** Holds the event loop; what happens comes from elsewhere. */
const hold_ms = 1_000

export class Waiting {
  readonly #waiters = new Set<Waiter>()
  #hold: Timer | undefined
  #ended: Error | undefined

  constructor(readonly clock: Clock) {}

  get any(): boolean {
    return this.#waiters.size > 0
  }

  /** Resolves with the first value that `look` returns; rejects with what it throws. */
  until<T>(look: () => { value: T } | undefined): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended)
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const waiter: Waiter = {
      look() {
        try {
          const found = look()
          if (found) resolve(found.value)
          return found !== undefined
        } catch (error) {
          // The database is locked just now: the answer is looked up again when something was settled.
          if (error instanceof SturdyError && error.retriable) return false
          reject(error)
          return true
        }
      },
      fail: reject,
    }
    if (!waiter.look()) {
      this.#waiters.add(waiter)
      this.#keepAlive()
    }
    return promise
  }

  changed(): void {
    for (const waiter of this.#waiters) if (waiter.look()) this.#waiters.delete(waiter)
    if (!this.any) this.#hold?.cancel()
  }

  /** Nobody may wait any longer, nor from now on. */
  end(error: Error): void {
    this.#ended = error
    this.fail(error)
  }

  fail(error: Error): void {
    for (const waiter of this.#waiters) waiter.fail(error)
    this.#waiters.clear()
    this.#hold?.cancel()
  }

  #keepAlive(): void {
    this.#hold?.cancel()
    this.#hold = this.clock.timer(hold_ms, () => this.any && this.#keepAlive(), true)
  }
}
