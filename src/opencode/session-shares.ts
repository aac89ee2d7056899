/**
 * Sessions of opencode as shares: one stream per session, named by it, created at its first event; ops by map-event.ts.
 * What a host's events become here is written before the call returns.
 */
import { SturdyError } from "../intent/error.ts"
import type { Bookmark, Outbox, Stream } from "../index.ts"
import type { Mapped, MappedOp } from "./map-event.ts"

export class SessionShares {
  constructor(
    readonly outbox: Outbox,
    /** The service's Cap'n Web endpoint. */
    readonly service: string,
  ) {}

  /**
   * Records what an event was mapped to, as one unit. Capturing the same event again records nothing. Ops for which
   * `isStale` says so are only noted as captured.
   *
   * @throws SturdyError as `Stream.record` and `Outbox.stream` do.
   */
  capture(mapped: Mapped, bookmark?: Bookmark, isStale: (op: MappedOp) => boolean = () => false): void {
    if (mapped.kind === "ignored") return
    if (mapped.kind === "removed") return this.find(mapped.session_id)?.remove()
    const stream = this.share(mapped.session_id)
    // The share was removed: what still comes of the session belongs to nobody.
    if (stream.status().removed || mapped.ops.length === 0) return
    this.outbox.unit(
      () => {
        for (const op of mapped.ops) stream.record({ ...op, stale: isStale(op) })
      },
      { ...(bookmark && { bookmark }) },
    )
  }

  /** Was this event of the session captured before? */
  isCaptured(session_id: string, captureId: string): boolean {
    const stream = this.find(session_id)
    return stream !== undefined && this.outbox.isCaptured(stream, captureId)
  }

  /** The stream of the session; a new share with an id and secret of its own if there is none yet. */
  share(session_id: string): Stream {
    const known = this.find(session_id)
    if (known) return known
    const ref = this.outbox.newRef(this.service)
    try {
      return this.outbox.stream(session_id, ref, { create: { session_id } })
    } catch (error) {
      // Another process shared the session between our look and our write: its share is the one.
      const raced = error instanceof SturdyError && error.code === "stream_conflict" && this.find(session_id)
      if (raced) return raced
      throw error
    }
  }

  /** @throws SturdyError `stream_conflict` if the session is shared at another service. */
  find(session_id: string): Stream | undefined {
    const known = this.outbox.findStream(session_id)
    if (!known) return
    const { service } = known.status()
    if (service === this.service) return known
    throw new SturdyError(
      "stream_conflict",
      `session ${session_id} is shared at ${service} by this outbox, not at ${this.service}`,
      "Use the same server again, or another outbox file (--db FILE).",
    )
  }
}
