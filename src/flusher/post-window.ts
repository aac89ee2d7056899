/**
 * What one POST of a stream may carry. Made smaller for the rest of a run by a service that takes no more: to learn it
 * again in the next run costs a few POSTs, and a limit that was raised is noticed.
 */
import * as limit from "../intent/limit.ts"
import type { Window } from "../store/freeze.ts"
import type { StreamRow } from "../store/stream.ts"
import { probeOf } from "./block.ts"
import type { Verdict } from "./verdict.ts"

export class PostWindow {
  #window: Window = { batches_max: limit.window_batches, bytes_max: limit.post_bytes_max - limit.post_overhead_bytes }

  /** Of a blocked stream a probe: one batch, or none while it is not known to whom it would be published. */
  for({ block, probing }: StreamRow): Window {
    if (block === null) return probing ? { ...this.#window, batches_max: 0 } : this.#window
    return { ...this.#window, batches_max: probeOf(block) === "batch" ? 1 : 0 }
  }

  learn({ alone, cut, next }: Verdict): void {
    if (alone) this.#window = { ...this.#window, batches_max: 1 }
    if (!cut || next.go !== "retry" || next.fault.blames !== "size") return
    const half = Math.ceil(cut.bytes / 2)
    this.#window = { ...this.#window, seal_bytes_max: Math.min(half, this.#window.seal_bytes_max ?? half) }
  }
}
