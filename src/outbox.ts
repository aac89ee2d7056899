/** `openOutbox`, and the outbox as a host holds it: what it can be asked, and its start and close. */
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import { systemSeams } from "./intent/system.ts"
import { closedError, type FlushReport } from "./answers.ts"
import { ownOp, stubOf, type Intent, type Stub } from "./handle.ts"
import { tellWhatStands } from "./flusher/announce.ts"
import { closeParts, flushMsOf, type CloseOptions } from "./closing.ts"
import type { OutboxEvent, OutboxEventName, OutboxEvents } from "./inspect/event.ts"
import type { Bookmark } from "./store/capture.ts"
import { openDatabase, type OpenDatabase } from "./store/database.ts"
import type { HostDatabase } from "./store/host-database.ts"
import { checkOptions, type OutboxOptions } from "./options.ts"
import { buildParts, type OutboxParts } from "./parts.ts"
import { checkName, checkRef, checkStubbing, newRef, type Opening, originOf, type Stubbing } from "./ref.ts"
import type { StreamRow, SturdyRef } from "./store/stream.ts"
import { Stream, type StreamOwner } from "./stream.ts"
import { streamAt } from "./stream-at.ts"
import { streamOwner } from "./stream-owner.ts"

/**
 * Opens an outbox, synchronously: its own file, created 0600 if it is not there, or tables in the host's database. What
 * an earlier process left is sent from here on.
 *
 * @throws SturdyError `invalid_argument`, `already_open`, `database_not_sqlite`, `database_not_outbox`, `database_corrupt`,
 *   `database_newer`, `database_unopenable`, `database_unsafe`, `busy`, `disk_full`, `storage_fault`; what is not an outbox
 *   is left untouched.
 */
export function openOutbox(where: string | HostDatabase, options: OutboxOptions = {}): Outbox {
  checkOptions(options)
  const seams = options.seams ?? systemSeams
  const open = openDatabase(where, seams, options.damaged)
  try {
    return new Outbox(open, seams, options)
  } catch (error) {
    open.close()
    throw error
  }
}

export class Outbox implements AsyncDisposable {
  /** What was put aside when this outbox was opened: the damaged file (`damaged: "quarantine"`), or a damaged -wal. */
  readonly quarantined: OpenDatabase["quarantined"]
  readonly #open: OpenDatabase
  readonly #seams: Seams
  readonly #parts: OutboxParts
  readonly #owner: StreamOwner
  readonly #linger_ms: number
  #sinceWake = 0
  #closing: Promise<void> | undefined
  /** The file is no longer ours to read. */
  #released = false

  /** Use `openOutbox`. */
  constructor(open: OpenDatabase, seams: Seams, options: OutboxOptions) {
    const { connection, quarantined } = open
    this.#open = open
    this.#seams = seams
    this.#linger_ms = options.lingerMs ?? limit.linger_ms
    this.#parts = buildParts(connection, seams, options, {
      stream: (name) => this.stream(name),
      changed: () => this.#changed(),
      wakeFor: (ops) => this.#wakeFor(ops),
      wake: () => this.#wake(0),
    })
    this.#owner = streamOwner({
      outbox: this,
      connection,
      clock: seams.clock,
      parts: this.#parts,
      assertOpen: () => this.#assertOpen(),
      assertReadable: () => {
        if (this.#released) throw closedError()
      },
    })
    this.quarantined = quarantined
    // When who opened it can have begun to listen.
    const { events, streams } = this.#parts
    seams.clock.timer(0, () => this.#closing || tellWhatStands(events, streams, quarantined), false)
    this.#wake(0)
  }

  /**
   * The stream of this name: opened, or created for this ref with a fresh writer. Without a ref it must exist. With
   * `create` this outbox also creates the share, in the first POST. With `adopt` it was created by somebody else at a
   * service that makes ids and secrets itself; the ref is then its name here only.
   *
   * @throws SturdyError `stream_unknown`, `stream_conflict`, `invalid_argument`.
   */
  stream(name: string, ref?: SturdyRef, options: Opening = {}): Stream {
    this.#assertOpen()
    checkName(name)
    if (ref === undefined) {
      const known = this.findStream(name)
      if (known) return known
      throw new SturdyError("stream_unknown", `there is no stream ${name} in this outbox`, "Pass a ref to create it.")
    }
    checkRef(name, ref, options)
    return this.#opened(this.#parts.streams.open(name, ref, originOf(options)))
  }

  findStream(name: string): Stream | undefined {
    this.#assertOpen()
    checkName(name)
    const row = this.#parts.streams.find(name)
    return row && this.#streamOf(row)
  }

  streams(): Stream[] {
    this.#assertOpen()
    return this.#parts.streams.all().map((row) => this.#streamOf(row))
  }

  /** A fresh ref for a share at this service: random id and secret, stored once a stream is opened with it. */
  newRef(service: string): SturdyRef {
    return newRef(service, this.#seams.random)
  }

  /**
   * The methods of an API as recorded calls, each with its result wanted. With a ref: of its share; the stream's name is
   * the share_id unless given. With a service's URL: of the stream of this name, as stored at an earlier run, or created
   * with a fresh ref and share; the same line then serves every run.
   *
   * @throws SturdyError `stream_conflict` if the name is that of another share, or of a stream at another service;
   *   `invalid_argument`, also without `create` for a stream that is not there yet; `busy`, `disk_full`, `closed`.
   */
  stub<Api>(service: string, options: Stubbing & { name: string }): Stub<Api>
  stub<Api>(ref: SturdyRef, options?: Stubbing): Stub<Api>
  stub<Api>(to: SturdyRef | string, options: Stubbing = {}): Stub<Api> {
    this.#assertOpen()
    checkStubbing(to, options)
    const { name, create } = options
    const stream =
      typeof to === "string"
        ? this.#opened(streamAt(this.#parts.streams, this.#seams.random, to, name!, create))
        : this.stream(name ?? to.share_id, to, create === undefined ? {} : { create })
    return stubOf<Api>((method, args) => stream.record({ method, args, wantResult: true }))
  }

  /**
   * Records all calls made in `body` as one unit: written in one transaction, decided together by the server, never
   * split. `body` is synchronous and stays within one stream. If it throws, nothing is written.
   */
  unit<T>(body: () => T, options: { bookmark?: Bookmark } = {}): T {
    this.#assertOpen()
    return this.#parts.units.run(body, options.bookmark)
  }

  /** How far a source was captured by units with a bookmark. */
  bookmark(source: string): Bookmark | undefined {
    this.#assertOpen()
    return this.#parts.recorder.captures.bookmark(source)
  }

  /** The idempotency key under which the call is known here, at the server and in the CLI. */
  opId(intent: Intent): string {
    this.#assertOpen()
    return ownOp(this, intent).op_id
  }

  /**
   * Waits for the server's result; may be days. Keeps the process alive.
   *
   * @throws SturdyError `op_rejected`, `op_superseded`, `op_discarded`, `op_unknown`, `closed`; `invalid_argument` for
   *   an op that was recorded without `wantResult`.
   */
  async result<T>(intent: Intent<T>): Promise<T> {
    this.#assertOpen()
    const op = ownOp(this, intent)
    this.#wake(0)
    return this.#parts.answers.result(op)
  }

  /**
   * Sends what is pending, now. Resolves when every op recorded before the call is settled or its stream is blocked, and
   * every share to create or remove is; says which. Waits through outages: bound it with `close({ flush_ms })` or a race.
   */
  async flush(): Promise<FlushReport> {
    this.#assertOpen()
    this.#wake(0)
    return this.#parts.answers.flush()
  }

  /**
   * Resolves when every op recorded until now survives power loss.
   *
   * @throws SturdyError `sync_failed`, `database_moved`, `database_unsafe`, `closed`
   */
  async durable(): Promise<void> {
    this.#assertOpen()
    return this.#parts.durability.durable()
  }

  /** Sends nothing until `resume`; recording goes on. @throws SturdyError `closed` */
  pause(): void {
    this.#assertOpen()
    this.#parts.flusher.pause("host")
  }

  /** @throws SturdyError `closed` */
  resume(): void {
    this.#assertOpen()
    this.#parts.flusher.resume("host")
  }

  /**
   * Listens; returns the function that stops. A listener that throws, or whose promise is rejected, is told as `fault`.
   *
   * @throws SturdyError `invalid_argument`, `closed`
   */
  on<Name extends OutboxEventName>(name: Name, listener: (event: OutboxEvents[Name]) => void): () => void {
    this.#assertOpen()
    return this.#parts.events.on(name, listener)
  }

  /** Hears every event, with its name; returns the function that stops. @throws SturdyError as `on` */
  onAny(observer: (event: OutboxEvent) => void): () => void {
    this.#assertOpen()
    return this.#parts.events.onAny(observer)
  }

  /**
   * Flushes for at most `flush_ms` (not while paused), then closes. What is left is sent by the next process. Idempotent, the
   * shortest budget holds; safe during a flush: a POST on its way is given up, its ops are answered as duplicates later.
   * However it ends, nothing runs any longer and the file is free; only with `invalid_argument` it stays open.
   */
  close(options: CloseOptions | null = {}): Promise<void> {
    const told = flushMsOf(options)
    if (told instanceof SturdyError) return Promise.reject(told)
    if (this.#closing) this.#parts.answers.endFlushIn(told)
    return (this.#closing ??= this.#close(told))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ?? this.close()
  }

  #close(flush_ms: number): Promise<void> {
    return closeParts(this.#parts, flush_ms, () => {
      this.#released = true
      this.#open.close()
    })
  }

  #opened(row: StreamRow): Stream {
    // A fresh ref may be handed out: it is part of what `durable` promises.
    this.#parts.durability.mark()
    if (row.session_id !== null && row.granted === 0) this.#wake(this.#linger_ms)
    return this.#streamOf(row)
  }

  #streamOf(row: StreamRow): Stream {
    return new Stream(row, this.#owner)
  }

  #wakeFor(ops: number): void {
    this.#sinceWake += ops
    this.#wake(this.#sinceWake >= limit.batch_ops_max ? 0 : this.#linger_ms)
  }

  #wake(delay_ms: number): void {
    if (this.#closing) return
    if (delay_ms === 0) this.#sinceWake = 0
    this.#parts.flusher.wake(delay_ms)
  }

  #changed(): void {
    const { checkpoints, diskBlock, recorder, resyncs, answers, flusher } = this.#parts
    checkpoints?.look()
    if (diskBlock.current?.reason === "outbox_full" && recorder.hasRoom()) diskBlock.over()
    resyncs?.look()
    answers.changed()
    // Somebody waits for what another process may do: look again by and by.
    if (answers.awaited) flusher.wake(limit.poll_ms)
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError()
  }
}
