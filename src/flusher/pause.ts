/** A delay that can be cut short. Keeps no process alive: whoever waits for the work does that. */
import type { Clock } from "../intent/seam.ts"

export class Pause {
  readonly ended: Promise<void>
  readonly #end: () => void

  constructor(clock: Clock, delay_ms: number) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    const timer = clock.timer(delay_ms, resolve, false)
    this.#end = () => {
      timer.cancel()
      resolve()
    }
  }

  end(): void {
    this.#end()
  }
}
