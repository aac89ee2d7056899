/** Work per session that is done one at a time, again if it is wanted meanwhile, and again later if it fails. */
import { backoffMs } from "../intent/backoff.ts"
import type { Clock, Timer } from "../intent/seam.ts"
import { systemRandom } from "../intent/system.ts"

export interface Work {
  /** False: there was nothing for it to do here, or not all of it could be done yet. It is not tried again for that. */
  run(session_id: string): Promise<boolean>
  failed(error: unknown): void
}

/** Between two tries of work that fails, ms. */
const backoff = { min_ms: 1_000, max_ms: 60_000 }

interface Entry {
  /** Wanted again since it was begun. */
  again: boolean
  done: Promise<boolean>
}

export class Repeated {
  readonly #running = new Map<string, Entry>()
  readonly #failures = new Map<string, number>()
  /** The next try of work that failed. */
  readonly #retries = new Map<string, Timer>()
  /** All sessions take turns: a process that starts with hundreds of shares does not ask for all of them at once. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(
    readonly clock: Clock,
    readonly work: Work,
  ) {}

  /** Resolves when a run that began after this call has ended: true if it has done its work. Never rejects. */
  want(session_id: string): Promise<boolean> {
    const running = this.#running.get(session_id)
    if (running) {
      running.again = true
      return running.done
    }
    const entry: Entry = { again: false, done: Promise.resolve(false) }
    entry.done = this.#queue.then(() => this.#runAll(session_id, entry))
    this.#queue = entry.done
    this.#running.set(session_id, entry)
    return entry.done
  }

  /** The same, but of work that failed the next try is waited for: for those who may ask many times a second. */
  wantInTime(session_id: string): void {
    if (!this.#retries.has(session_id)) void this.want(session_id)
  }

  async #runAll(session_id: string, entry: Entry): Promise<boolean> {
    let isDone: boolean
    do {
      entry.again = false
      isDone = await this.#run(session_id)
      // What failed waits for its next try: what fails with every event must not be tried with every event.
    } while (entry.again && !this.#retries.has(session_id))
    this.#running.delete(session_id)
    return isDone
  }

  async #run(session_id: string): Promise<boolean> {
    this.#retries.get(session_id)?.cancel()
    this.#retries.delete(session_id)
    try {
      const isDone = await this.work.run(session_id)
      this.#failures.delete(session_id)
      return isDone
    } catch (error) {
      this.work.failed(error)
      const failures = (this.#failures.get(session_id) ?? 0) + 1
      this.#failures.set(session_id, failures)
      const retry = () => void this.want(session_id)
      this.#retries.set(session_id, this.clock.timer(backoffMs(failures, backoff, systemRandom), retry, false))
      return false
    }
  }
}
