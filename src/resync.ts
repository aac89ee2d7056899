/** Calls the host's `resync` hook: at least once per reason, one call per stream at a time, again later if it fails. */
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Clock } from "./intent/seam.ts"
import type { Events } from "./inspect/event.ts"
import type { OwedResync, OwedResyncs } from "./store/resync.ts"

export interface ResyncParts {
  owed: OwedResyncs
  events: Events
  clock: Clock
  /** The host's code. */
  hook: (owed: OwedResync) => void | Promise<void>
  /** The stream may go on. */
  wake: () => void
}

export class Resyncs {
  /** Streams whose hook runs, or failed and waits. */
  readonly #engaged = new Set<number>()
  #closed = false

  constructor(readonly parts: ResyncParts) {}

  /** Something was settled: is a hook to be called? */
  look(): void {
    if (this.#closed) return
    for (const owed of this.parts.owed.ready()) if (!this.#engaged.has(owed.stream_id)) void this.#run(owed)
  }

  /** By a timer: what our own disk says meanwhile must not end the process. */
  #lookLater(): void {
    try {
      this.look()
    } catch (cause) {
      if (!(cause instanceof SturdyError)) throw cause
      this.parts.events.emit("fault", { message: cause.message, cause })
    }
  }

  close(): void {
    this.#closed = true
  }

  /** Never rejects: the hook is the host's code, and what it throws is told as `fault`. */
  async #run(owed: OwedResync): Promise<void> {
    const { stream_id, name, reason } = owed
    const { events, clock, hook, wake } = this.parts
    this.#engaged.add(stream_id)
    try {
      this.parts.owed.begin(owed)
      await hook(owed)
      if (this.#closed) return
      const lifted = this.parts.owed.end(owed)
      events.emit("resynced", { stream: name, reason })
      if (lifted) events.emit("unblocked", { stream: name, reason })
      this.#engaged.delete(stream_id)
      wake()
    } catch (cause) {
      const what = cause instanceof SturdyError ? cause.message : `the resync hook failed for stream ${name}: ${cause}`
      events.emit("fault", { message: what, cause })
      const again = () => {
        this.#engaged.delete(stream_id)
        this.#lookLater()
      }
      clock.timer(limit.retry_delay_ms_max, again, false)
    }
  }
}
