/** One process from its start to its death: what it sees of time, and where it dies. */
import type { Clock, Random, Seams } from "../../intent/seam.ts"

/** The process is no more. */
export class Killed extends Error {}

interface Surroundings {
  clock: Clock
  random: Random
  /** Of the wall clock of its machine, ms. */
  skew_ms: () => number
  /** Asked at each crash point: does it die here? */
  diesAt: (name: string) => boolean
  died: () => void
}

export class Life {
  #dead = false
  /** While it is stopped (SIGSTOP, a suspended laptop): what it would have done, in order. */
  #stopped: (() => void)[] | undefined

  get dead(): boolean {
    return this.#dead
  }

  get stopped(): boolean {
    return this.#stopped !== undefined
  }

  kill(): void {
    this.#dead = true
  }

  stop(): void {
    this.#stopped ??= []
  }

  /** What fell due while it was stopped happens now, before it knows how late it is. */
  go(): void {
    const due = this.#stopped ?? []
    this.#stopped = undefined
    for (const act of due) act()
  }

  /** Now, or when it runs again; never if it is dead by then. */
  whenRunning(act: () => void): void {
    if (this.#dead) return
    if (this.#stopped) this.#stopped.push(() => this.whenRunning(act))
    else act()
  }

  seams({ clock, random, skew_ms, diesAt, died }: Surroundings): Seams {
    return {
      random,
      clock: {
        now: () => clock.now() + skew_ms(),
        monotonic: () => clock.monotonic(),
        // The timers of the dead never fire.
        timer: (delay_ms, callback, hold) => clock.timer(delay_ms, () => this.whenRunning(callback), hold),
        soon: (callback) => clock.soon(() => this.whenRunning(callback)),
        block: (delay_ms) => clock.block(delay_ms),
      },
      crashPoint: (name) => {
        if (!this.#dead && !diesAt(name)) return
        if (!this.#dead) died()
        this.#dead = true
        throw new Killed(name)
      },
    }
  }
}
