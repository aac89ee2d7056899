/** `openOutbox`: the one composition root of the client. Builds every part, owns start and close. */
import type { Database } from "bun:sqlite"
import { decodeArgs } from "./intent/codec.ts"
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import { systemSeams } from "./intent/system.ts"
import { isId, randomId, ulidFactory, type UlidFactory } from "./intent/ulid.ts"
import { Flusher } from "./flusher/flusher.ts"
import { intentOp, type Intent, type IntentOp, type Stub } from "./handle.ts"
import { Events, type OutboxEventName, type OutboxEvents } from "./inspect/event.ts"
import type { Bookmark } from "./store/capture.ts"
import { Checkpoints } from "./store/checkpoint.ts"
import { openDatabaseFile, useHostDatabase, type OpenDatabase } from "./store/database.ts"
import { chooseDurability, type Durability } from "./store/durability.ts"
import { Freezer } from "./store/freeze.ts"
import { Knowledge } from "./store/knowledge.ts"
import { Lease } from "./store/lease.ts"
import type { NewOp } from "./store/new-op.ts"
import { processIdentity } from "./store/process-identity.ts"
import { Recorder } from "./store/record.ts"
import { Settler } from "./store/settle.ts"
import { Streams, type StreamRow, type SturdyRef } from "./store/stream.ts"
import { Stream } from "./stream.ts"
import { Waiting } from "./waiting.ts"
import { httpTransport } from "./wire/http.ts"
import type { Transport } from "./wire/transport.ts"

export interface OutboxOptions {
  /** Headers of every attempt, e.g. a gateway's key. Called once per attempt. */
  headers?: () => Record<string, string>
  /** Bytes that the outbox file may hold; beyond it `record` throws `outbox_full`. @default 1 GiB */
  outboxBytesMax?: number
  /** How long the first op of a batch waits for others, in ms. @default 50 */
  lingerMs?: number
  /** Bounds of the backoff, in ms. @default 500 and 60,000 */
  retryDelayMsMin?: number
  retryDelayMsMax?: number
  /** How long another process waits for one that died on another host, in ms. @default 10,000 */
  leaseMs?: number
  /** Network, for tests and simulators. */
  transport?: Transport
  /** Time, randomness and crash points, for tests and simulators. */
  seams?: Seams
}

export interface FlushReport {
  /** Every op recorded before the call is settled. */
  settled: boolean
  /** Streams that stand, and why. */
  blocked: { stream: string; reason: string; message: string }[]
}

interface UnitEntry {
  stream_id: number
  op: NewOp
  intent: IntentOp
}

/**
 * Opens an outbox, synchronously: its own file, created 0600 if it is not there, or tables in the host's database. What
 * an earlier process left is sent from here on.
 *
 * @throws SturdyError `database_not_sqlite`, `database_not_outbox`, `database_corrupt`, `database_newer`,
 *   `database_unopenable`, `database_unsafe`, `already_open`; what is not an outbox is left untouched.
 */
export function openOutbox(where: string | { database: Database }, options: OutboxOptions = {}): Outbox {
  const seams = options.seams ?? systemSeams
  const open = typeof where === "string" ? openDatabaseFile(where, seams) : useHostDatabase(where.database, seams)
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
  readonly #knowledge: Knowledge
  readonly #durability: Durability
  readonly #checkpoints: Checkpoints | undefined
  readonly #flusher: Flusher
  readonly #waiting: Waiting
  readonly #linger_ms: number
  #unit: UnitEntry[] | undefined
  #sinceWake = 0
  #closing: Promise<void> | undefined

  /** Use `openOutbox`. */
  constructor(open: OpenDatabase, seams: Seams, options: OutboxOptions) {
    const { connection } = open
    this.#open = open
    this.#seams = seams
    this.#ulid = ulidFactory(seams.clock, seams.random)
    this.#streams = new Streams(connection)
    this.#recorder = new Recorder(connection, this.#streams, options.outboxBytesMax ?? limit.outbox_bytes_max)
    this.#knowledge = new Knowledge(connection, this.#streams)
    this.#durability = chooseDurability(connection)
    this.#checkpoints = connection.file ? new Checkpoints(connection, this.#durability) : undefined
    this.#waiting = new Waiting(seams.clock)
    this.#linger_ms = options.lingerMs ?? limit.linger_ms
    const owner = randomId(seams.random, 128)
    const lease = new Lease(connection, owner, processIdentity(), options.leaseMs ?? limit.lease_ms)
    this.#flusher = new Flusher(
      {
        freezer: new Freezer(connection, this.#streams, lease, this.#ulid),
        settler: new Settler(connection, this.#streams, lease),
        knowledge: this.#knowledge,
        transport: options.transport ?? httpTransport(seams.clock),
        seams,
        events: this.#events,
        headers: options.headers ?? (() => ({})),
        backoff: {
          min_ms: options.retryDelayMsMin ?? limit.retry_delay_ms_min,
          max_ms: options.retryDelayMsMax ?? limit.retry_delay_ms_max,
        },
      },
      this.#streams,
      lease,
      () => this.#changed(),
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
    if (!ref) {
      const known = this.findStream(name)
      if (known) return known
      throw new SturdyError("stream_unknown", `there is no stream ${name} in this outbox`, "Pass a ref to create it.")
    }
    checkRef(name, ref)
    const row = this.#streams.open(name, ref, options.create?.session_id)
    if (row.session_id !== null && row.granted === 0) this.#wake(this.#linger_ms)
    return this.#handle(row)
  }

  findStream(name: string): Stream | undefined {
    this.#assertOpen()
    const row = this.#streams.find(name)
    return row && this.#handle(row)
  }

  streams(): Stream[] {
    this.#assertOpen()
    return this.#streams.all().map((row) => this.#handle(row))
  }

  /** A fresh ref for a share at this service: random id and secret, stored once a stream is opened with it. */
  newRef(service: string): SturdyRef {
    const { random } = this.#seams
    return { service, share_id: randomId(random, 128), secret: randomId(random, 256) }
  }

  /** The methods of an API as recorded calls, each with its result wanted. The stream's name is the share_id unless given. */
  stub<Api>(ref: SturdyRef, options: { name?: string; create?: { session_id: string } } = {}): Stub<Api> {
    const stream = this.stream(options.name ?? ref.share_id, ref, options)
    const methods = new Map<string, (...args: unknown[]) => Intent>()
    return new Proxy(Object.create(null) as Stub<Api>, {
      get(_, method) {
        // Not thenable: a stub may be returned from an async function.
        if (typeof method === "symbol" || method === "then") return undefined
        const known = methods.get(method)
        if (known) return known
        const call = (...args: unknown[]) => stream.record({ method, args, wantResult: true })
        methods.set(method, call)
        return call
      },
    })
  }

  /**
   * Records all calls made in `body` as one unit: written in one transaction, decided together by the server, never
   * split. `body` is synchronous and stays within one stream. If it throws, nothing is written.
   */
  unit<T>(body: () => T, options: { bookmark?: Bookmark } = {}): T {
    this.#assertOpen()
    if (this.#unit) return body()
    const entries: UnitEntry[] = []
    this.#unit = entries
    let value: T
    try {
      value = body()
    } finally {
      this.#unit = undefined
    }
    if (value instanceof Promise)
      throw new SturdyError(
        "invalid_argument",
        "the body of a unit returned a promise; nothing was written",
        "Await before the unit: its calls are written together when the body returns.",
      )
    this.#write(entries, options.bookmark)
    return value
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
    return this.#opOf(intent).op_id
  }

  /**
   * Waits for the server's result; may be days. Keeps the process alive.
   *
   * @throws SturdyError `op_rejected`, `op_superseded`, `op_discarded`, `op_unknown`, `closed`; `invalid_argument` for
   *   an op that was recorded without `wantResult`.
   */
  async result<T>(intent: Intent<T>): Promise<T> {
    const op = this.#opOf(intent)
    if (!op.want_result)
      throw new SturdyError(
        "invalid_argument",
        `${op.method} (${op.op_id}) was recorded without wantResult`,
        "Record it with wantResult, or through a stub.",
      )
    this.#wake(0)
    return this.#waiting.until(() => this.#resultOf(op) as { value: T } | undefined)
  }

  /**
   * Sends what is pending, now. Resolves when every op recorded before the call is settled or its stream is blocked, and
   * every share to create or remove is; says which. Waits through outages: bound it with `close({ flush_ms })` or a race.
   */
  async flush(): Promise<FlushReport> {
    this.#assertOpen()
    const targets = new Map(this.#streams.all().map((row) => [row.stream_id, this.#streams.lastSeq(row)]))
    this.#wake(0)
    return this.#waiting.until(() => this.#flushReport(targets))
  }

  /** Resolves when every op recorded until now survives power loss. @throws SturdyError `sync_failed`, `database_unsafe`. */
  durable(): Promise<void> {
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
    if (flush_ms > 0 && this.#streams.withWork().length > 0) await this.#flushFor(flush_ms)
    await this.#flusher.stop()
    this.#waiting.fail(
      new SturdyError("closed", "the outbox was closed", "What is pending is sent by the next process."),
    )
    this.#checkpoints?.close()
    this.#durability.close()
    this.#open.close()
  }

  #flushFor(flush_ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#seams.clock.timer(flush_ms, resolve, true)
    const targets = new Map(this.#streams.all().map((row) => [row.stream_id, this.#streams.lastSeq(row)]))
    this.#flusher.wake(0)
    this.#waiting
      .until(() => this.#flushReport(targets))
      .then(
        () => resolve(),
        () => resolve(),
      )
    return promise.finally(() => timer.cancel())
  }

  #handle(row: StreamRow): Stream {
    return new Stream(row, {
      outbox: this,
      streams: this.#streams,
      ulid: this.#ulid,
      clock: this.#seams.clock,
      submit: (stream_id, op, intent) => this.#submit({ stream_id, op, intent }),
      remove: (stream_id) => this.#remove(stream_id),
    })
  }

  #submit(entry: UnitEntry): void {
    this.#assertOpen()
    if (this.#unit) this.#unit.push(entry)
    else this.#write([entry], undefined)
  }

  #write(entries: readonly UnitEntry[], bookmark: Bookmark | undefined): void {
    const first = entries[0]
    if (!first) return bookmark && this.#recorder.recordBookmark(bookmark)
    const other = entries.find((entry) => entry.stream_id !== first.stream_id)
    if (other)
      throw new SturdyError(
        "unit_spans_streams",
        `a unit holds ops of ${this.#nameOf(first)} and of ${this.#nameOf(other)}; nothing was written`,
        "A unit is decided by one share in one transaction: use one unit per stream.",
      )
    const ops = entries.map((entry) => entry.op)
    const recorded = this.#recorder.record(first.stream_id, ops, bookmark)
    recorded.forEach(({ op_id, seq }, index) => Object.assign(entries[index]!.intent, { op_id, seq }))
    const written = recorded.filter((op) => op.seq !== undefined)
    if (written.length > 0) this.#written(first, ops, written)
  }

  #written(
    entry: UnitEntry,
    ops: readonly NewOp[],
    written: readonly { op_id: string; superseded_op_id?: string | undefined }[],
  ): void {
    this.#durability.mark()
    this.#checkpoints?.written(ops.reduce((sum, op) => sum + op.args.length + 200, 0))
    this.#sinceWake += written.length
    this.#wake(this.#sinceWake >= limit.batch_ops_max ? 0 : this.#linger_ms)
    // The hot path: nothing is looked up for an event that nobody hears.
    if (!this.#events.has("recorded") && !this.#events.has("superseded")) return
    const stream = this.#nameOf(entry)
    this.#events.emit("recorded", { stream, op_ids: written.map((op) => op.op_id) })
    for (const { op_id, superseded_op_id } of written)
      if (superseded_op_id) this.#events.emit("superseded", { stream, op_id: superseded_op_id, by_op_id: op_id })
  }

  #nameOf({ stream_id }: UnitEntry): string {
    return this.#streams.get(stream_id).name
  }

  #remove(stream_id: number): void {
    this.#assertOpen()
    this.#streams.recordRemoval(stream_id)
    this.#durability.mark()
    this.#wake(0)
  }

  #wake(delay_ms: number): void {
    if (this.#closing) return
    if (delay_ms === 0) this.#sinceWake = 0
    this.#flusher.wake(delay_ms)
  }

  #changed(): void {
    this.#checkpoints?.look()
    this.#waiting.changed()
    // Somebody waits for what another process may do: look again by and by.
    if (this.#waiting.any) this.#flusher.wake(limit.poll_ms)
  }

  #flushReport(targets: ReadonlyMap<number, number>): { value: FlushReport } | undefined {
    const blocked: FlushReport["blocked"] = []
    for (const [stream_id, target] of targets) {
      const row = this.#streams.get(stream_id)
      if (row.time_closed !== null && row.repeat_removal === 0) continue
      if (row.block !== null) {
        blocked.push({ stream: row.name, reason: row.block, message: row.block_message ?? "" })
        continue
      }
      const owed = row.time_removal !== null || (row.session_id !== null && row.granted === 0)
      // Seqs whose op was superseded lie beyond the cursor without being pending.
      if (owed || (row.cursor < target && this.#streams.pendingCount(row) > 0)) return
    }
    return { value: { settled: blocked.length === 0, blocked } }
  }

  #opOf(intent: Intent): IntentOp {
    this.#assertOpen()
    const op = intentOp(intent)
    if (op?.outbox === this) return op
    throw new SturdyError("invalid_argument", "not an Intent of this outbox", "Pass what record or a stub returned.")
  }

  #resultOf(op: IntentOp): { value: unknown } | undefined {
    const found = this.#knowledge.stateOf(this.#streams.get(op.stream_id), op.op_id, op.seq)
    const name = `${op.method} (${op.op_id})`
    switch (found?.state) {
      case "pending":
        return
      case "applied":
        return { value: found.result === undefined ? undefined : decodeResult(found.result) }
      case "dead":
        throw new SturdyError(
          "op_rejected",
          `${name} was rejected: ${found.code}, ${found.message}`,
          "See `sturdy ops`.",
        )
      case "superseded":
        throw new SturdyError(
          "op_superseded",
          `${name} was replaced by ${found.by_op_id ?? "a newer op"}`,
          "Wait for that.",
        )
      case "discarded":
        throw new SturdyError("op_discarded", `${name} was given up when its share was removed`, "Share again.")
      case undefined:
        throw new SturdyError(
          "op_unknown",
          `${name} is not kept any more`,
          "Results are kept as long as settled ops are.",
        )
    }
  }

  #assertOpen(): void {
    if (this.#closing) throw new SturdyError("closed", "the outbox is closed", "Open it again with openOutbox.")
  }
}

function decodeResult(text: string): unknown {
  return decodeArgs(`[[${text}]]`)[0]
}

function checkRef(name: string, ref: SturdyRef): void {
  const wrong = (what: string) =>
    new SturdyError("invalid_argument", `stream ${name}: ${what}`, "A ref is { service, share_id, secret }.")
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > limit.name_bytes_max)
    throw wrong(`a name has 1 to ${limit.name_bytes_max} bytes`)
  const url = URL.canParse(ref.service) ? new URL(ref.service) : undefined
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) throw wrong("service must be an http(s) URL")
  if (url.username || url.password) throw wrong("service must not carry a password: use headers")
  if (!isId(ref.share_id)) throw wrong("share_id must match [A-Za-z0-9_-]{16,128}")
  if (!isId(ref.secret)) throw wrong("secret must match [A-Za-z0-9_-]{16,128}")
}
