/** Units being written: the calls of one body, or of one call outside of any, in one transaction, and what follows it. */
import { SturdyError } from "./intent/error.ts"
import type { DiskBlock } from "./flusher/disk-block.ts"
import type { Events } from "./inspect/event.ts"
import { kindOf } from "./intent/shape.ts"
import { isThenable } from "./intent/thenable.ts"
import type { IntentOp } from "./handle.ts"
import type { Bookmark, Captures } from "./store/capture.ts"
import type { Checkpoints } from "./store/checkpoint.ts"
import { DeadLetters, type Retried } from "./store/dead-letter.ts"
import type { Durability } from "./store/durability.ts"
import type { Knowledge } from "./store/knowledge.ts"
import { storedBytes, type NewOp } from "./store/new-op.ts"
import type { RecordedOp, Recorder } from "./store/record.ts"
import type { Streams } from "./store/stream.ts"

export interface UnitEntry {
  stream_id: number
  op: NewOp
  intent: IntentOp
}

export interface UnitsParts {
  recorder: Recorder
  streams: Streams
  knowledge: Knowledge
  durability: Durability
  checkpoints: Checkpoints | undefined
  diskBlock: DiskBlock
  events: Events
  /** So many ops wait to be sent that did not before. */
  wake: (ops: number) => void
}

export class Units {
  #open: UnitEntry[] | undefined

  readonly deadLetters: DeadLetters

  constructor(readonly parts: UnitsParts) {
    this.deadLetters = new DeadLetters(parts.recorder, parts.streams, parts.knowledge)
  }

  get captures(): Captures {
    return this.parts.recorder.captures
  }

  /** The body of a unit runs. */
  get running(): boolean {
    return this.#open !== undefined
  }

  /** Records a dead letter again. At once, also while a unit is open: its ops are units of their own. */
  retry(stream_id: number, op_id: string): Retried[] {
    const { retried, ops } = this.#onDisk(() => this.deadLetters.retry(stream_id, op_id))
    this.#written(
      stream_id,
      ops,
      ops.map(({ op_id }) => ({ op_id, superseded_op_id: undefined })),
    )
    const stream = this.parts.streams.get(stream_id).name
    for (const pair of retried) this.parts.events.emit("retried", { stream, ...pair })
    return retried
  }

  discard(stream_id: number, op_id: string): string[] {
    const op_ids = this.#onDisk(() => this.deadLetters.discard(stream_id, op_id))
    this.parts.durability.mark()
    const stream = this.parts.streams.get(stream_id).name
    for (const discarded of op_ids) this.parts.events.emit("discarded", { stream, op_id: discarded })
    return op_ids
  }

  /** Adds the op to the unit that is open, or writes it at once. */
  submit(entry: UnitEntry): void {
    if (this.#open) this.#open.push(entry)
    else this.#write([entry], undefined)
  }

  /** Runs the body and writes what it recorded; an inner unit joins the outer one. */
  run<T>(body: () => T, bookmark: Bookmark | undefined): T {
    if (typeof body !== "function")
      throw new SturdyError(
        "invalid_argument",
        `the body of a unit must be a function, got ${kindOf(body)}; nothing was written`,
        "For example outbox.unit(() => notes.rename(id, title)).",
      )
    const outer = this.#open
    if (outer && bookmark)
      throw new SturdyError(
        "invalid_argument",
        `a unit inside another has a bookmark of its own (${bookmark.source}); nothing was written`,
        "Give the bookmark to the outer unit: both are written in one transaction.",
      )
    const entries: UnitEntry[] = []
    this.#open = entries
    let done = false
    try {
      const value = body()
      refusePromise(value)
      this.#open = outer
      if (outer) outer.push(...entries)
      else this.#write(entries, bookmark)
      done = true
      return value
    } finally {
      this.#open = outer
      // Whoever still holds these Intents must not be able to refer to ops that nobody will ever have.
      if (!done) for (const { intent } of entries) intent.lost = true
    }
  }

  #write(entries: readonly UnitEntry[], bookmark: Bookmark | undefined): void {
    const first = entries[0]
    if (!first) return bookmark && this.#onDisk(() => this.parts.recorder.recordBookmark(bookmark))
    const other = entries.find((entry) => entry.stream_id !== first.stream_id)
    if (other)
      throw new SturdyError(
        "unit_spans_streams",
        `a unit holds ops of ${this.#nameOf(first)} and of ${this.#nameOf(other)}; nothing was written`,
        "A unit is decided by one share in one transaction: use one unit per stream.",
      )
    const ops = entries.map((entry) => entry.op)
    const recorded = this.#onDisk(() => this.parts.recorder.record(first.stream_id, ops, bookmark))
    recorded.forEach(({ op_id, seq }, index) => Object.assign(entries[index]!.intent, { op_id, seq }))
    this.#written(
      first.stream_id,
      ops,
      recorded.filter((op) => op.seq !== undefined),
    )
  }

  /** A write of the host's, which shows whether our own disk takes one. */
  #onDisk<T>(write: () => T): T {
    const { diskBlock } = this.parts
    try {
      const done = write()
      if (diskBlock.current) diskBlock.over()
      return done
    } catch (error) {
      if (error instanceof SturdyError) diskBlock.met(error)
      throw error
    }
  }

  #written(stream_id: number, ops: readonly NewOp[], written: readonly Omit<RecordedOp, "seq">[]): void {
    const { streams, durability, checkpoints, events, wake } = this.parts
    // Also if an earlier op stands for all of them: that one may be another process's, and not synced yet.
    durability.mark()
    checkpoints?.written(ops.reduce((sum, op) => sum + storedBytes(op), 0))
    if (written.length === 0) return
    wake(written.length)
    // The hot path: nothing is looked up for an event that nobody hears.
    if (!events.has("recorded") && !events.has("superseded")) return
    const stream = streams.get(stream_id).name
    events.emit("recorded", { stream, op_ids: written.map((op) => op.op_id) })
    for (const { op_id, superseded_op_id } of written)
      if (superseded_op_id) events.emit("superseded", { stream, op_id: superseded_op_id, by_op_id: op_id })
  }

  #nameOf({ stream_id }: UnitEntry): string {
    return this.parts.streams.get(stream_id).name
  }
}

function refusePromise(value: unknown): void {
  if (!isThenable(value)) return
  throw new SturdyError(
    "invalid_argument",
    "the body of a unit returned a promise; nothing was written",
    "Await before the unit: its calls are written together when the body returns.",
  )
}
