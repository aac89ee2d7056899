/** Long work in short turns: the host's event loop is never held for longer than one of them. */
import type { Clock } from "../intent/seam.ts"

/** Of one turn: a tenth of what a person notices, and of what token streaming can spare. */
const turn_ms = 8

export class Turns {
  #since: number

  constructor(readonly clock: Clock) {
    this.#since = clock.monotonic()
  }

  /** Lets everything else have its turn, if this one has been long enough. */
  async take(): Promise<void> {
    if (this.clock.monotonic() - this.#since < turn_ms) return
    await new Promise<void>((resolve) => this.clock.soon(resolve))
    this.#since = this.clock.monotonic()
  }
}
