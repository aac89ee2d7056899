/**
 * The loop of one stream: freeze, POST, settle, until it is drained, blocked or told to stop. One request in flight.
 * p-retry runs the attempts; it sees only `AttemptFailed`, and waits no time of its own: it would give up on Bun's
 * network errors, draw from Math.random and lose its jitter at the cap.
 */
import pRetry, { AbortError } from "p-retry"
import { backoffMs, type BackoffBounds } from "../intent/backoff.ts"
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import type { Events } from "../inspect/event.ts"
import type { Shipment, Freezer } from "../store/freeze.ts"
import type { Knowledge } from "../store/knowledge.ts"
import type { Settler } from "../store/settle.ts"
import type { StreamRow, Streams } from "../store/stream.ts"
import { sendPost, type Post } from "../wire/session.ts"
import type { Transport } from "../wire/transport.ts"
import { hintOf } from "./block.ts"
import { Pause } from "./pause.ts"
import type { Slots } from "./slots.ts"
import { step, type Event, type State } from "./state.ts"
import { failedAttempts, judge, postFor, settlementOf, type AttemptFault, type Verdict } from "./verdict.ts"

export interface StreamFlusherParts {
  freezer: Freezer
  settler: Settler
  knowledge: Knowledge
  streams: Streams
  transport: Transport
  seams: Seams
  events: Events
  headers: () => Record<string, string>
  backoff: BackoffBounds
  /** Called after each settlement: waiters look again. */
  changed: () => void
  /** Called at a fault that does not pass by itself: whoever waits must hear of it. */
  failed: (error: SturdyError) => void
}

/** The attempt failed; the next is due after the delay. */
class AttemptFailed extends Error {
  constructor(
    readonly fault: AttemptFault,
    readonly delay_ms: number,
  ) {
    super(fault.message)
  }
}

export class StreamFlusher {
  #state: State = "idle"
  readonly #abort = new AbortController()
  #pause: Pause | undefined
  #rested = false
  /** The server asked for the pause that is on. */
  #asked = false

  constructor(
    readonly stream_id: number,
    readonly term: number,
    readonly parts: StreamFlusherParts,
    /** For the time of an attempt: a stream that only waits holds up no other. */
    readonly slots: Slots,
  ) {}

  /** It stopped by itself. */
  get lostLease(): boolean {
    return this.#state === "stopped" && !this.#abort.signal.aborted
  }

  /** Runs until there is nothing to do, or nothing can be done now. Never rejects but for a bug. */
  async run(): Promise<void> {
    this.#on("work")
    try {
      await pRetry(() => this.#attempts(), {
        retries: Infinity,
        minTimeout: 0,
        signal: this.#abort.signal,
        onFailedAttempt: ({ error }) => this.#wait(error),
      })
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error
    }
  }

  /** Ends the loop: a running POST is given up, its outcome is unknown, and its batches stay frozen. */
  stop(): void {
    this.#on("stop")
    this.#pause?.end()
    this.#abort.abort(new Error("stopped"))
  }

  /** Ends the wait for the next attempt, unless the server asked for it. */
  hurry(): void {
    if (!this.#asked) this.#pause?.end()
  }

  #on(event: Event): void {
    this.#state = step(this.#state, event)
  }

  async #attempts(): Promise<void> {
    while (this.#state === "sending") {
      await this.#sleepUntilDue()
      await this.slots.take()
      try {
        if (this.#state === "sending") await this.#next()
      } finally {
        this.slots.give()
      }
      // The host's own work has its turn, however fast the service answers.
      if (this.#state === "sending") await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #next(): Promise<void> {
    const shipment = this.#freeze()
    if (!shipment) return this.#on("stop")
    if (hasWork(shipment)) return this.#attempt(shipment)
    this.parts.events.emit("drained", { stream: shipment.stream.name })
    this.#on("drained")
  }

  #freeze(): Shipment | undefined {
    const window = { batches_max: limit.window_batches, bytes_max: limit.post_bytes_max - limit.post_overhead_bytes }
    return this.#local(() => this.parts.freezer.freeze(this.term, this.stream_id, window))
  }

  async #attempt(shipment: Shipment): Promise<void> {
    const { seams, events, transport } = this.parts
    const { stream } = shipment
    const headers = this.#headers(stream)
    if (!headers) return
    const post = postFor(shipment, headers)
    const ops = post.batches.reduce((sum, batch) => sum + batch.ops.length, 0)
    events.emit("sent", { stream: stream.name, attempt: stream.attempts + 1, batches: post.batches.length, ops })
    seams.crashPoint("flush:before-post")
    const answer = await sendPost(post, transport, seams.clock, this.#abort.signal)
    seams.crashPoint("flush:after-post")
    // Stopped meanwhile: an answer that did arrive still counts, unless the lease is gone; one given up is no failure.
    const verdict = judge(shipment, post, answer, {
      knowsOp: (op_id) => this.parts.knowledge.knowsOp(stream, op_id),
      hasRetained: () => this.parts.settler.retention.hasRetained(stream.stream_id),
    })
    const { next } = verdict
    if (this.#abort.signal.aborted && next.go === "retry" && next.fault.code === "aborted") return
    this.#settle(stream, this.#overtaken(post, next) ? { ...verdict, next: { go: "on" } } : verdict)
  }

  /** The host's own code: what it throws is a failed attempt, not a bug of ours. */
  #headers(stream: StreamRow): Record<string, string> | undefined {
    try {
      return this.parts.headers()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const next: Verdict["next"] = { go: "retry", fault: { code: "headers_fault", message, outcome: "not_sent" } }
      this.#settle(stream, { acked: [], patch: {}, next })
      return
    }
  }

  /** A removal was recorded while the POST was out: what blocks the batches does not stop it. */
  #overtaken(post: Post, next: Verdict["next"]): boolean {
    return next.go === "block" && !post.remove && this.parts.streams.get(this.stream_id).time_removal !== null
  }

  #settle(stream: StreamRow, verdict: Verdict): void {
    const { clock } = this.parts.seams
    const fault = verdict.next.go === "retry" ? verdict.next.fault : undefined
    const delay_ms = fault && this.#delay(fault, failedAttempts(verdict, stream))
    const now = clock.now()
    const settlement = settlementOf(verdict, stream, now, delay_ms === undefined ? undefined : now + delay_ms)
    const settled = this.#local(() => this.parts.settler.settle(this.term, this.stream_id, settlement))
    if (!settled) return this.#on("stop")
    this.#announce(stream, settled, verdict)
    this.parts.changed()
    if (fault) throw new AttemptFailed(fault, delay_ms ?? 0)
    this.#on(verdict.next.go === "block" ? "refused" : verdict.next.go === "closed" ? "removed" : "settled")
  }

  #delay(fault: AttemptFault, attempts: number): number {
    if (fault.at_once) return 0
    return Math.max(backoffMs(attempts, this.parts.backoff, this.parts.seams.random), fault.retry_after_ms ?? 0)
  }

  /**
   * The time of the next attempt survives restarts. Looked at once per run, and capped: a wall clock that jumped cannot
   * silence a stream for longer than the server or our own backoff could have asked for.
   */
  async #sleepUntilDue(): Promise<void> {
    const { next_attempt_at, last_error } = this.parts.streams.get(this.stream_id)
    const first = !this.#rested
    this.#rested = true
    if (!first || next_attempt_at === null) return
    const askable = last_error === "busy" || last_error?.startsWith("http_")
    const cap_ms = askable ? limit.retry_after_ms_max : this.parts.backoff.max_ms
    const left = Math.min(next_attempt_at - this.parts.seams.clock.now(), cap_ms)
    if (left <= 0) return
    // Which kind of wait it was is not stored: it may be the server's.
    this.#asked = true
    await this.#sleep(left)
    this.#asked = false
  }

  async #wait(error: Error): Promise<void> {
    // Whatever is not ours is a bug: it ends the loop.
    if (!(error instanceof AttemptFailed)) throw error
    // Told to stop while the attempt ran: nobody will make the next.
    if (this.#abort.signal.aborted) throw new AbortError("stopped")
    this.#on("failed")
    this.#asked = error.fault.retry_after_ms !== undefined
    await this.#sleep(error.delay_ms)
    this.#asked = false
    this.#on("due")
    if (this.#state === "stopped") throw new AbortError("stopped")
  }

  async #sleep(delay_ms: number): Promise<void> {
    this.#pause = new Pause(this.parts.seams.clock, delay_ms)
    await this.#pause.ended
    this.#pause = undefined
  }

  /** A fault of our own disk or a lock held elsewhere: the server's word is not lost, it gives it again. */
  #local<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof SturdyError)) throw error
      const fault: AttemptFault = { code: error.code, message: error.message, outcome: "unknown" }
      this.parts.events.emit("fault", { message: error.message, cause: error })
      if (!error.retriable) this.parts.failed(error)
      throw new AttemptFailed(fault, error.retriable ? this.#delay(fault, 1) : limit.retry_delay_ms_max)
    }
  }

  #announce(before: StreamRow, after: StreamRow, { acked, reset, twin, next }: Verdict): void {
    const { events } = this.parts
    const stream = before.name
    for (const { batch, rejected } of acked) {
      events.emit("acked", { stream, batch_id: batch.batch_id, ops: batch.ops.length, rejected: rejected.size })
      for (const [op_id, { code, message }] of rejected) events.emit("rejected", { stream, op_id, code, message })
    }
    if (twin) events.emit("twin", { stream })
    if (reset) events.emit("server_reset", { stream })
    if (next.go === "closed") events.emit("removed", { stream })
    if (next.go === "block") events.emit("blocked", { stream, ...next.block, hint: hintOf(next.block.reason) })
    if (next.go === "retry")
      events.emit("failed", {
        stream,
        code: next.fault.code,
        message: next.fault.message,
        outcome: next.fault.outcome,
        attempts: after.attempts,
        next_attempt_at: after.next_attempt_at ?? 0,
      })
  }
}

function hasWork({ stream, batches }: Shipment): boolean {
  if (stream.block !== null) return false
  if (stream.time_closed !== null) return stream.repeat_removal === 1
  if (stream.time_removal !== null) return true
  return batches.length > 0 || (stream.session_id !== null && stream.granted === 0)
}
