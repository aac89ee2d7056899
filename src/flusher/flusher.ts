/**
 * Who flushes, and when. The lease is taken when there is something to send and given back when there is nothing left
 * that can be sent, so that any process of several on one file can go on at once. Streams run side by side.
 */
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Timer } from "../intent/seam.ts"
import { movedError } from "../store/fault.ts"
import type { Lease } from "../store/lease.ts"
import { Slots } from "./slots.ts"
import { StreamFlusher, type StreamFlusherParts } from "./stream-flusher.ts"

/** Streams that send to one service at a time: a start with a thousand sessions must not open a thousand connections. */
const parallel_max = 8

export class Flusher {
  readonly #running = new Map<number, StreamFlusher>()
  /** Per service: one that does not answer must not keep the streams of another waiting. */
  readonly #slots = new Map<string, Slots>()
  #term: number | undefined
  #renewal: Timer | undefined
  #wake: Timer | undefined
  #wakeAt = Infinity
  #stopped = false
  /** Reasons for which nothing is sent: each is lifted by whoever set it. */
  readonly #paused = new Set<string>()
  readonly #runs = new Set<Promise<void>>()

  constructor(
    readonly parts: StreamFlusherParts,
    readonly lease: Lease,
    /** Called after anything may have changed: waiters look again. */
    readonly changed: () => void,
    /** Called when a bug stopped the flusher for good: nobody may wait for it any longer. */
    readonly broken: (error: SturdyError) => void,
  ) {}

  /** There may be something to send: look after `delay_ms`. Cheap; the earliest wish wins. */
  wake(delay_ms: number): void {
    if (this.#stopped) return
    const at = this.parts.seams.clock.monotonic() + delay_ms
    if (at >= this.#wakeAt) return
    this.#wake?.cancel()
    this.#wakeAt = at
    this.#wake = this.parts.seams.clock.timer(
      delay_ms,
      () => {
        this.#wakeAt = Infinity
        this.#look()
      },
      false,
    )
  }

  /** The stream has something that should not wait for its backoff. A Retry-After is waited for all the same. */
  hurry(stream_id: number, isOther = false): void {
    this.#running.get(stream_id)?.hurry(isOther)
    this.wake(0)
  }

  get paused(): boolean {
    return this.#paused.size > 0
  }

  pause(reason: string): void {
    this.#paused.add(reason)
    this.#stopStreams()
  }

  resume(reason: string): void {
    this.#paused.delete(reason)
    this.wake(0)
  }

  /** A POST on its way is given up, its batches stay frozen; the lease is freed for others. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake?.cancel()
    this.#stopStreams()
    await Promise.allSettled(this.#runs)
    this.#giveBack()
  }

  #look(): void {
    if (this.#stopped) return
    try {
      if (this.#fileMoved()) return
      if (this.#paused.size === 0) this.#startDue()
      if (this.#running.size === 0) this.#rest()
      // Whoever holds the lease sends for all: also what other processes record meanwhile.
      else this.wake(limit.poll_ms)
      this.changed()
    } catch (error) {
      this.#fault(error)
    }
  }

  /** A file that was taken away would take every write into nowhere; it may be put back. */
  #fileMoved(): boolean {
    const { diskBlock } = this.parts
    if (!diskBlock.fileMoved()) {
      if (diskBlock.current?.reason === "database_moved") diskBlock.over()
      return false
    }
    diskBlock.met(movedError(diskBlock.file ?? "the file", "flushing"))
    this.wake(limit.poll_ms)
    this.parts.changed()
    return true
  }

  /** Nothing to send just now: who has nothing to say looks all the same, another may have recorded and died. */
  #rest(): void {
    this.#giveBack()
    const { lease_ms } = this.lease
    const probe_ms = this.#paused.size === 0 ? this.parts.streams.untilProbe() : undefined
    this.wake(Math.min(lease_ms, Math.max(limit.poll_ms, probe_ms ?? lease_ms)))
  }

  #startDue(): void {
    const due = this.parts.streams.withWork().filter((stream_id) => !this.#running.has(stream_id))
    if (due.length > 0 && this.#haveLease()) for (const stream_id of due) this.#start(stream_id)
  }

  #start(stream_id: number): void {
    const slots = this.#slotsOf(this.parts.streams.get(stream_id).service)
    const flusher = new StreamFlusher(stream_id, this.#term!, this.parts, slots)
    this.#running.set(stream_id, flusher)
    const run = flusher
      .run()
      .catch((error) => this.#fault(error))
      .finally(() => {
        this.#running.delete(stream_id)
        this.#runs.delete(run)
        if (flusher.lostLease && flusher.term === this.#term) this.#lost()
        this.#look()
      })
    this.#runs.add(run)
  }

  #slotsOf(service: string): Slots {
    const known = this.#slots.get(service)
    if (known) return known
    const slots = new Slots(parallel_max)
    this.#slots.set(service, slots)
    return slots
  }

  #haveLease(): boolean {
    if (this.#term !== undefined) return true
    const acquired = this.lease.acquire()
    if (!acquired.held) {
      // Somebody else flushes, our ops too. Look again: for the lease, and for what was settled.
      this.wake(limit.poll_ms)
      return false
    }
    this.#term = acquired.term
    this.parts.events.emit("lease", { held: true, term: acquired.term })
    this.#scheduleRenewal()
    return true
  }

  #scheduleRenewal(delay_ms = Math.floor(this.lease.lease_ms / 3)): void {
    this.#renewal = this.parts.seams.clock.timer(delay_ms, () => this.#renew(), false)
  }

  #renew(): void {
    const term = this.#term
    if (term === undefined) return
    try {
      if (!this.lease.renew(term)) return this.#lost()
    } catch (error) {
      // A late renewal is no loss: the term is checked in every transaction that matters. A lock held elsewhere is no news.
      this.#reportUnlessKnown(error)
      return this.#scheduleRenewal(Math.floor(Math.min(limit.poll_ms, this.lease.lease_ms / 6)))
    }
    this.#scheduleRenewal()
  }

  #lost(): void {
    if (this.#term === undefined) return
    this.parts.events.emit("lease", { held: false, term: this.#term })
    this.#forgetLease()
    this.#stopStreams()
    this.wake(limit.poll_ms)
  }

  #giveBack(): void {
    const term = this.#term
    if (term === undefined) return
    this.#forgetLease()
    try {
      this.lease.release(term)
    } catch (error) {
      this.#reportUnlessKnown(error)
    }
    this.parts.events.emit("lease", { held: false, term })
  }

  #forgetLease(): void {
    this.#term = undefined
    this.#renewal?.cancel()
  }

  #stopStreams(): void {
    for (const flusher of this.#running.values()) flusher.stop()
  }

  /** A storage fault passes and is tried again; anything else is a bug, which must not be repeated. */
  #fault(thrown: unknown): void {
    const error = this.lease.connection.fault(thrown, "flushing")
    if (error instanceof SturdyError && this.parts.diskBlock.met(error)) {
      this.parts.changed()
      return this.wake(limit.poll_ms)
    }
    this.#reportUnlessKnown(error)
    if (error instanceof SturdyError && error.retriable) return this.wake(limit.poll_ms)
    if (error instanceof SturdyError) {
      this.parts.failed(error)
      // It may pass: descriptors that had run out, permissions that were taken.
      return this.wake(this.lease.lease_ms)
    }
    this.#stopped = true
    this.#stopStreams()
    this.#giveBack()
    this.broken(brokenError(error))
  }

  /** A lock held elsewhere is no news; a full disk or a moved file has an event of its own. */
  #reportUnlessKnown(error: unknown): void {
    if (error instanceof SturdyError && (error.code === "busy" || this.parts.diskBlock.met(error))) return
    this.#report(error)
  }

  #report(error: unknown): void {
    this.parts.events.emit("fault", { message: messageOf(error), cause: error })
  }
}

function brokenError(cause: unknown): SturdyError {
  return new SturdyError(
    "flusher_stopped",
    `the flusher met a bug and stopped: ${messageOf(cause)}`,
    "Nothing is lost: recording goes on, and the next process sends. Please report the bug with its cause.",
    { cause },
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
