/**
 * Shares every session from its first event on, at one service: a recording, or a demo, has nobody who asks for it. Once
 * a share is removed, what still comes of its session belongs to nobody.
 */
import { SturdyError } from "../intent/error.ts"
import type { Bookmark, Outbox, Stream } from "../index.ts"
import type { Mapped, MappedOp } from "./map-event.ts"
import { SessionShares } from "./session-shares.ts"

export class EverySession {
  readonly #shares: SessionShares

  constructor(
    readonly outbox: Outbox,
    /** The service's Cap'n Web endpoint. */
    readonly service: string,
  ) {
    this.#shares = new SessionShares(outbox)
  }

  /**
   * Records what an event was mapped to, as one unit. Capturing the same event again records nothing. Ops for which
   * `isStale` says so are only noted as captured.
   *
   * @throws SturdyError as `Stream.record` and `Outbox.stream` do; `stream_conflict`.
   */
  capture(mapped: Mapped, bookmark?: Bookmark, isStale: (op: MappedOp) => boolean = () => false): void {
    if (mapped.kind === "ignored") return
    const known = this.#find(mapped.session_id)
    if (mapped.kind === "removed") return known?.remove()
    const stream = known ?? this.#shares.share(mapped.session_id, this.service).stream
    if (stream.status().removed || mapped.ops.length === 0) return
    const ops = mapped.ops.map((op) => ({ ...op, stale: isStale(op) }))
    this.#shares.record(stream, ops, bookmark)
  }

  /** Was this event of the session captured before? @throws SturdyError `stream_conflict` */
  isCaptured(session_id: string, captureId: string): boolean {
    return this.#find(session_id)?.captured(captureId) !== undefined
  }

  /** @throws SturdyError `stream_conflict` if the session is shared at another service. */
  #find(session_id: string): Stream | undefined {
    const known = this.#shares.latest(session_id)
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
