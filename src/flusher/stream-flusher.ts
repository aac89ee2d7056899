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
import type { Freezer, Shipment } from "../store/freeze.ts"
import type { Knowledge } from "../store/knowledge.ts"
import type { Settler } from "../store/settle.ts"
import { askedUntil, type StreamRow, type Streams } from "../store/stream.ts"
import { sendBy, type Protocol } from "../wire/protocol.ts"
import type { Transport } from "../wire/transport.ts"
import { announce } from "./announce.ts"
import { probeOf } from "./block.ts"
import { AttemptFailed } from "./attempt-failed.ts"
import { askedMs, blocked, type AttemptFault, type Next } from "./classify.ts"
import type { DiskBlock } from "./disk-block.ts"
import { headersFrom } from "./headers.ts"
import { overtaken } from "./overtaken.ts"
import { Pauses } from "./pause.ts"
import { PostWindow } from "./post-window.ts"
import { probeDelayMs } from "./probe.ts"
import { failedAttempts, isGivenUp, probesMade, settlementOf } from "./settlement.ts"
import type { Slots } from "./slots.ts"
import { step, type Event, type State } from "./state.ts"
import { judge, postFor, type Verdict } from "./verdict.ts"
import { hasWork } from "./work.ts"

export interface StreamFlusherParts {
  freezer: Freezer
  settler: Settler
  knowledge: Knowledge
  streams: Streams
  transport: Transport
  protocols: readonly Protocol[]
  seams: Seams
  events: Events
  diskBlock: DiskBlock
  headers: (attempt: { stream: string; service: string }) => unknown
  backoff: BackoffBounds
  /** Called after each settlement: waiters look again. */
  changed: () => void
  /** Called at a fault that does not pass by itself: whoever waits must hear of it. */
  failed: (error: SturdyError) => void
}

export class StreamFlusher {
  #state: State = "idle"
  readonly #abort = new AbortController()
  readonly #pauses: Pauses
  readonly #window = new PostWindow()
  #rested = false
  /** Steps of our own disk that failed in a row: it may not be able to take a note of them. */
  #localFaults = 0
  /** How often the service lost the share or its data in this run. */
  #losses = 0
  constructor(
    readonly stream_id: number,
    readonly term: number,
    readonly parts: StreamFlusherParts,
    /** For the time of an attempt: a stream that only waits holds up no other. */
    readonly slots: Slots,
  ) {
    this.#pauses = new Pauses(parts.seams.clock)
  }

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
    this.#pauses.end()
    this.#abort.abort(new Error("stopped"))
  }

  /** Ends the wait for the next attempt; one that the server asked for only if it is another server now. */
  hurry(isOther = false): void {
    this.#pauses.hurry(isOther)
  }

  #on(event: Event): void {
    this.#state = step(this.#state, event)
  }

  async #attempts(): Promise<void> {
    const { seams } = this.parts
    while (this.#state === "sending") {
      await this.#sleepUntilDue()
      await this.slots.take()
      try {
        if (this.#state === "sending") await this.#next()
      } finally {
        this.slots.give()
      }
      // The host's own work has its turn, however fast the service answers.
      if (this.#state === "sending") await new Promise<void>((resolve) => seams.clock.soon(resolve))
    }
  }

  async #next(): Promise<void> {
    const shipment = this.#freeze()
    if (!shipment) return this.#on("stop")
    if (shipment === "damaged") return this.#on("refused")
    const { events, seams } = this.parts
    const stream = shipment.stream.name
    for (const { batch_id, ops, bytes } of shipment.sealed)
      events.emit("sealed", { stream, batch_id, ops: ops.length, bytes })
    if (hasWork(shipment, seams.clock.now())) return this.#attempt(shipment)
    if (shipment.stream.block === null) events.emit("drained", { stream })
    this.#on("drained")
  }

  #freeze(): Shipment | "damaged" | undefined {
    const { diskBlock, freezer } = this.parts
    return this.#local(() => {
      // While the disk takes nothing, no answer could be written down: try it before the POST, not after.
      if (diskBlock.stopsSending && !freezer.lease.renew(this.term)) return
      try {
        return freezer.freeze(this.term, this.stream_id, (stream) => this.#window.for(stream))
      } catch (error) {
        if (!(error instanceof SturdyError) || error.code !== "op_damaged") throw error
        return this.#standDamaged(error.message)
      }
    })
  }

  /** An op that cannot be read stops its own stream, as long as the file takes a note of it. */
  #standDamaged(message: string): "damaged" | undefined {
    const { streams, settler, seams, events } = this.parts
    const stream = streams.get(this.stream_id)
    const verdict: Verdict = { acked: [], patch: {}, next: blocked("damaged", message) }
    const now = seams.clock.now()
    const settlement = settlementOf(verdict, stream, now, now + this.#delayAfter(stream, verdict)!)
    const settled = settler.settle(this.term, this.stream_id, { ...settlement, posts: 0 })
    if (!settled) return
    announce(events, stream, settled, verdict)
    this.parts.changed()
    return "damaged"
  }

  /** A share that is lost is met twice, as unknown and as empty; beyond that it is not tried again at once. */
  #losesAgain(): boolean {
    return this.#losses > 2
  }

  async #attempt(shipment: Shipment): Promise<void> {
    const { seams, events, transport, protocols } = this.parts
    const { stream } = shipment
    const headers = this.#headers(stream)
    if (!headers) return
    const post = postFor(shipment, headers)
    const ops = post.batches.reduce((sum, batch) => sum + batch.ops.length, 0)
    events.emit("sent", { stream: stream.name, attempt: stream.attempts + 1, batches: post.batches.length, ops })
    seams.crashPoint("flush:before-post")
    const context = { transport, clock: seams.clock, signal: this.#abort.signal }
    const answer = await sendBy(protocols, post, context)
    seams.crashPoint("flush:after-post")
    // Stopped meanwhile: an answer that did arrive still counts, unless the lease is gone; one given up is no failure.
    const verdict = judge(shipment, post, answer, {
      knowsOp: (op_id) => this.parts.knowledge.knowsOp(stream, op_id),
      hasRetained: () => this.parts.settler.retention.hasRetained(stream.stream_id),
    })
    if (this.#abort.signal.aborted && isGivenUp(verdict)) return
    this.#settle(stream, overtaken(stream, this.parts.streams.get(this.stream_id), post, verdict))
  }

  /** The host's own code: what it throws is a failed attempt, not a bug of ours. */
  #headers(stream: StreamRow): Record<string, string> | undefined {
    try {
      return headersFrom(this.parts.headers({ stream: stream.name, service: stream.service }))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const next: Next = { go: "retry", fault: { code: "headers_fault", message, outcome: "not_sent" } }
      this.#settle(stream, { acked: [], patch: {}, next })
      return
    }
  }

  #settle(stream: StreamRow, verdict: Verdict): void {
    const { next, cut } = verdict
    const now = this.parts.seams.clock.now()
    if (verdict.lost) this.#losses += 1
    const delay_ms = this.#delayAfter(stream, verdict)
    const due_at = delay_ms === undefined ? undefined : now + delay_ms
    const settlement = settlementOf(verdict, stream, now, due_at)
    const { settler, diskBlock } = this.parts
    const settled = this.#local(() => settler.settle(this.term, this.stream_id, settlement))
    if (!settled) return this.#on("stop")
    // Freezing may write nothing new: only an answer written down shows that the disk takes one.
    this.#localFaults = 0
    if (diskBlock.stopsSending) diskBlock.over()
    announce(this.parts.events, stream, settled, verdict)
    this.parts.changed()
    this.#window.learn(verdict)
    if (cut && !this.#local(() => this.parts.freezer.cut(this.term, cut))) return this.#on("stop")
    if (next.go === "retry") throw new AttemptFailed(next.fault, delay_ms ?? 0)
    if (verdict.lost && this.#losesAgain()) {
      const fault = {
        code: "server_reset",
        message: "the service loses its data again and again",
        outcome: "refused",
      } as const
      throw new AttemptFailed(fault, this.#delay(fault, this.#losses))
    }
    this.#on(next.go === "block" ? "refused" : next.go === "closed" ? "removed" : "settled")
  }

  /** ms until the next attempt, or the next probe of a block that can end by itself. */
  #delayAfter(stream: StreamRow, verdict: Verdict): number | undefined {
    const { next } = verdict
    if (next.go === "retry") {
      const at_once = next.fault.at_once === true && !(verdict.lost && this.#losesAgain())
      return this.#delay({ ...next.fault, at_once }, Math.max(failedAttempts(verdict, stream), this.#losses))
    }
    if (next.go !== "block" || probeOf(next.block.reason) === "nothing") return
    const delay_ms = probeDelayMs(probesMade(verdict, stream), this.parts.seams.random)
    return Math.max(delay_ms, askedMs(next) ?? 0)
  }

  #delay(fault: AttemptFault, attempts: number): number {
    const delay_ms = fault.at_once ? 0 : backoffMs(attempts, this.parts.backoff, this.parts.seams.random)
    return Math.max(delay_ms, fault.retry_after_ms ?? 0)
  }

  /**
   * The time of the next attempt survives restarts. Looked at once per run, and capped: a wall clock that jumped cannot
   * silence a stream for longer than the server could have asked for, or our own backoff.
   */
  async #sleepUntilDue(): Promise<void> {
    const stream = this.parts.streams.get(this.stream_id)
    const first = !this.#rested
    this.#rested = true
    if (!first || stream.next_attempt_at === null) return
    const now = this.parts.seams.clock.now()
    const backoff_ms = Math.min(stream.next_attempt_at - now, this.parts.backoff.max_ms)
    const asked_ms = Math.min((askedUntil(stream) ?? now) - now, limit.retry_after_ms_max)
    const left = Math.max(backoff_ms, asked_ms)
    if (left > 0) await this.#pauses.take(left, asked_ms > 0)
  }

  async #wait(error: Error): Promise<void> {
    // Whatever is not ours is a bug: it ends the loop.
    if (!(error instanceof AttemptFailed)) throw error
    // Told to stop while the attempt ran: nobody will make the next.
    if (this.#abort.signal.aborted) throw new AbortError("stopped")
    this.#on("failed")
    await this.#pauses.take(error.delay_ms, error.fault.retry_after_ms !== undefined)
    this.#on("due")
    if (this.#state === "stopped") throw new AbortError("stopped")
  }

  /** A fault of our own disk or a lock held elsewhere: the server's word is not lost, it gives it again. */
  #local<T>(work: () => T): T {
    const { diskBlock, events, failed, changed } = this.parts
    try {
      return work()
    } catch (error) {
      if (!(error instanceof SturdyError)) throw error
      this.#localFaults += 1
      const fault: AttemptFault = { code: error.code, message: error.message, outcome: "unknown" }
      if (diskBlock.met(error)) changed()
      else if (error.code !== "busy") events.emit("fault", { message: error.message, cause: error })
      if (!error.retriable && !diskBlock.stopsSending) failed(error)
      const again = error.retriable || diskBlock.stopsSending !== undefined
      throw new AttemptFailed(fault, again ? this.#delay(fault, this.#localFaults) : limit.retry_delay_ms_max)
    }
  }
}
