/** `openOutbox`: the one composition root of the client. Builds every part, owns start and close. */
import type { Database } from "bun:sqlite"
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import { systemSeams } from "./intent/system.ts"
import { randomId, ulidFactory, type UlidFactory } from "./intent/ulid.ts"
import { Answers, closedError, type FlushReport } from "./answers.ts"
import { Flusher } from "./flusher/flusher.ts"
import { ownOp, stubOf, type Intent, type Stub } from "./handle.ts"
import { Events, type OutboxEvent, type OutboxEventName, type OutboxEvents } from "./inspect/event.ts"
import type { Bookmark } from "./store/capture.ts"
import { Checkpoints } from "./store/checkpoint.ts"
import { openDatabase, type OpenDatabase } from "./store/database.ts"
import { chooseDurability, type Durability } from "./store/durability.ts"
import { Freezer } from "./store/freeze.ts"
import { Knowledge } from "./store/knowledge.ts"
import { Lease } from "./store/lease.ts"
import { processIdentity } from "./store/process-identity.ts"
import { backoffOf, type OutboxOptions } from "./options.ts"
import { checkName, checkRef, newRef } from "./ref.ts"
import { Recorder } from "./store/record.ts"
import { Settler } from "./store/settle.ts"
import { Streams, type StreamRow, type SturdyRef } from "./store/stream.ts"
import { Stream } from "./stream.ts"
import { Units } from "./units.ts"
import { httpTransport } from "./wire/http.ts"

/**
 * Opens an outbox, synchronously: its own file, created 0600 if it is not there, or tables in the host's database. What
 * an earlier process left is sent from here on.
 *
 * @throws SturdyError `database_not_sqlite`, `database_not_outbox`, `database_corrupt`, `database_newer`,
 *   `database_unopenable`, `database_unsafe`, `already_open`; what is not an outbox is left untouched.
 */
export function openOutbox(where: string | { database: Database }, options: OutboxOptions = {}): Outbox {
  const seams = options.seams ?? systemSeams
  const open = openDatabase(where, seams)
  try {
    return new Outbox(open, seams, options)
  } catch (error) {
    open.close()
    throw error
  }
}

export class Outbox implements AsyncDisposable {
  readonly #open: OpenDatabase
  readonly #seams: Seams
  readonly #ulid: UlidFactory
  readonly #events = new Events()
  readonly #streams: Streams
  readonly #recorder: Recorder
  readonly #durability: Durability
  readonly #checkpoints: Checkpoints | undefined
  readonly #flusher: Flusher
  readonly #answers: Answers
  readonly #linger_ms: number
  readonly #units: Units
  #sinceWake = 0
  #closing: Promise<void> | undefined

  /** Use `openOutbox`. */
  constructor(open: OpenDatabase, seams: Seams, options: OutboxOptions) {
    const { connection } = open
    this.#open = open
    this.#seams = seams
    this.#ulid = ulidFactory(seams.clock, seams.random)
    this.#streams = new Streams(connection)
    this.#recorder = new Recorder(connection, options.outboxBytesMax, () => settler.retention.makeRoom())
    const knowledge = new Knowledge(connection, this.#streams)
    this.#durability = chooseDurability(connection)
    this.#checkpoints = connection.file ? new Checkpoints(connection, this.#durability) : undefined
    this.#answers = new Answers(knowledge, this.#streams, seams.clock)
    this.#units = new Units({
      recorder: this.#recorder,
      streams: this.#streams,
      knowledge,
      durability: this.#durability,
      checkpoints: this.#checkpoints,
      events: this.#events,
      wake: (ops) => this.#wakeFor(ops),
    })
    this.#linger_ms = options.lingerMs ?? limit.linger_ms
    const owner = randomId(seams.random, 128)
    const lease = new Lease(connection, owner, processIdentity(), options.leaseMs ?? limit.lease_ms)
    const settler = new Settler(connection, this.#streams, lease)
    this.#flusher = new Flusher(
      {
        freezer: new Freezer(connection, this.#streams, lease, this.#ulid),
        settler,
        knowledge,
        streams: this.#streams,
        transport: options.transport ?? httpTransport(seams.clock),
        seams,
        events: this.#events,
        headers: options.headers ?? (() => ({})),
        backoff: backoffOf(options),
        changed: () => this.#answers.changed(),
        failed: (error) => this.#answers.fail(error),
      },
      lease,
      () => this.#changed(),
      (error) => this.#answers.end(error),
    )
    this.#wake(0)
  }

  /**
   * The stream of this name: opened, or created for this ref with a fresh writer. Without a ref it must exist. With
   * `create` this outbox also creates the share, in the first POST.
   *
   * @throws SturdyError `stream_unknown`, `stream_conflict`, `invalid_argument`.
   */
  stream(name: string, ref?: SturdyRef, options: { create?: { session_id: string } } = {}): Stream {
    this.#assertOpen()
    checkName(name)
    if (!ref) {
      const known = this.findStream(name)
      if (known) return known
      throw new SturdyError("stream_unknown", `there is no stream ${name} in this outbox`, "Pass a ref to create it.")
    }
    checkRef(name, ref, options.create)
    const row = this.#streams.open(name, ref, options.create?.session_id)
    // A fresh ref may be handed out: it is part of what `durable` promises.
    this.#durability.mark()
    if (row.session_id !== null && row.granted === 0) this.#wake(this.#linger_ms)
    return this.#streamOf(row)
  }

  findStream(name: string): Stream | undefined {
    this.#assertOpen()
    const row = this.#streams.find(name)
    return row && this.#streamOf(row)
  }

  streams(): Stream[] {
    this.#assertOpen()
    return this.#streams.all().map((row) => this.#streamOf(row))
  }

  /** A fresh ref for a share at this service: random id and secret, stored once a stream is opened with it. */
  newRef(service: string): SturdyRef {
    return newRef(service, this.#seams.random)
  }

  /** The methods of an API as recorded calls, each with its result wanted. The stream's name is the share_id unless given. */
  stub<Api>(ref: SturdyRef, options: { name?: string; create?: { session_id: string } } = {}): Stub<Api> {
    const stream = this.stream(options.name ?? ref.share_id, ref, options)
    return stubOf<Api>((method, args) => stream.record({ method, args, wantResult: true }))
  }

  /**
   * Records all calls made in `body` as one unit: written in one transaction, decided together by the server, never
   * split. `body` is synchronous and stays within one stream. If it throws, nothing is written.
   */
  unit<T>(body: () => T, options: { bookmark?: Bookmark } = {}): T {
    this.#assertOpen()
    return this.#units.run(body, options.bookmark)
  }

  /** How far a source was captured by units with a bookmark. */
  bookmark(source: string): Bookmark | undefined {
    this.#assertOpen()
    return this.#recorder.captures.bookmark(source)
  }

  /** Was an op with this captureId recorded, or noted as stale, on the stream? */
  isCaptured(stream: Stream, captureId: string): boolean {
    this.#assertOpen()
    const row = this.#streams.find(stream.name)
    return row !== undefined && this.#recorder.captures.isCaptured(row.stream_id, captureId)
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
    return this.#answers.result(op)
  }

  /**
   * Sends what is pending, now. Resolves when every op recorded before the call is settled or its stream is blocked, and
   * every share to create or remove is; says which. Waits through outages: bound it with `close({ flush_ms })` or a race.
   */
  async flush(): Promise<FlushReport> {
    this.#assertOpen()
    this.#wake(0)
    return this.#answers.flush()
  }

  /** Resolves when every op recorded until now survives power loss. @throws SturdyError `sync_failed`, `database_unsafe`. */
  async durable(): Promise<void> {
    this.#assertOpen()
    return this.#durability.durable()
  }

  /** Sends nothing until `resume`; recording goes on. */
  pause(): void {
    this.#flusher.pause("host")
  }

  resume(): void {
    this.#flusher.resume("host")
  }

  /** Listens; returns the function that stops. */
  on<Name extends OutboxEventName>(name: Name, listener: (event: OutboxEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Hears every event, with its name; returns the function that stops. */
  onAny(observer: (event: OutboxEvent) => void): () => void {
    return this.#events.onAny(observer)
  }

  /**
   * Flushes for at most `flush_ms`, then closes. What is left is sent by the next process. Idempotent; safe during a
   * flush: a POST on its way is given up, and its ops are answered as duplicates later.
   */
  close(options: { flush_ms?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.flush_ms ?? limit.close_flush_ms)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(flush_ms: number): Promise<void> {
    if (flush_ms > 0 && this.#streams.withWork().length > 0) {
      this.#flusher.wake(0)
      await this.#answers.flushFor(flush_ms)
    }
    await this.#flusher.stop()
    this.#answers.end(closedError())
    this.#checkpoints?.close()
    try {
      await this.#durability.close()
    } finally {
      this.#open.close()
    }
  }

  #streamOf(row: StreamRow): Stream {
    return new Stream(row, {
      outbox: this,
      streams: this.#streams,
      ulid: this.#ulid,
      clock: this.#seams.clock,
      units: () => {
        this.#assertOpen()
        return this.#units
      },
      remove: (stream_id) => this.#remove(stream_id),
    })
  }

  #remove(stream_id: number): void {
    this.#assertOpen()
    this.#streams.recordRemoval(stream_id)
    this.#durability.mark()
    if (!this.#closing) this.#flusher.hurry(stream_id)
  }

  #wakeFor(ops: number): void {
    this.#sinceWake += ops
    this.#wake(this.#sinceWake >= limit.batch_ops_max ? 0 : this.#linger_ms)
  }

  #wake(delay_ms: number): void {
    if (this.#closing) return
    if (delay_ms === 0) this.#sinceWake = 0
    this.#flusher.wake(delay_ms)
  }

  #changed(): void {
    this.#checkpoints?.look()
    this.#answers.changed()
    // Somebody waits for what another process may do: look again by and by.
    if (this.#answers.awaited) this.#flusher.wake(limit.poll_ms)
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError()
  }
}
