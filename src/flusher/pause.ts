/** The pauses of one stream, one at a time, each of which can be cut short. They keep no process alive: who waits does. */
import type { Clock } from "../intent/seam.ts"

export class Pauses {
  #end: (() => void) | undefined
  /** The server asked for the pause that is on. */
  #asked = false

  constructor(readonly clock: Clock) {}

  async take(delay_ms: number, asked: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.clock.timer(delay_ms, resolve, false)
    this.#asked = asked
    this.#end = () => {
      timer.cancel()
      resolve()
    }
    await promise
    this.#end = undefined
    this.#asked = false
  }

  /** Ends the pause that is on; one that the server asked for only if it is another server now. */
  hurry(isOther: boolean): void {
    if (!this.#asked || isOther) this.#end?.()
  }

  end(): void {
    this.#end?.()
  }
}
