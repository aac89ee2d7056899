/** The clock of a world. Turns of the event loop are its own too: nothing of a world waits for the real one. */
import { ManualClock } from "../manual-clock.ts"

export class WorldClock extends ManualClock {
  #soon: (() => void)[] = []

  override soon(callback: () => void): void {
    this.#soon.push(callback)
  }

  /** What was to happen soon happens. False if nothing was. */
  runSoon(): boolean {
    const due = this.#soon
    this.#soon = []
    for (const callback of due) callback()
    return due.length > 0
  }
}
