/** Units being written: the calls of one body, or of one call outside of any, in one transaction. */
import { SturdyError } from "./intent/error.ts"
import { isThenable } from "./intent/thenable.ts"
import type { IntentOp } from "./handle.ts"
import type { Bookmark } from "./store/capture.ts"
import type { NewOp } from "./store/new-op.ts"
import type { RecordedOp, Recorder } from "./store/record.ts"
import type { Streams } from "./store/stream.ts"

export interface UnitEntry {
  stream_id: number
  op: NewOp
  intent: IntentOp
}

export class Units {
  #open: UnitEntry[] | undefined

  constructor(
    readonly recorder: Recorder,
    readonly streams: Streams,
    /** Called after the transaction, with the stream and what became of each op. */
    readonly written: (stream_id: number, entries: readonly UnitEntry[], recorded: readonly RecordedOp[]) => void,
  ) {}

  /** Adds the op to the unit that is open, or writes it at once. */
  submit(entry: UnitEntry): void {
    if (this.#open) this.#open.push(entry)
    else this.#write([entry], undefined)
  }

  /** Runs the body and writes what it recorded; an inner unit joins the outer one. */
  run<T>(body: () => T, bookmark: Bookmark | undefined): T {
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
    if (!first) return bookmark && this.recorder.recordBookmark(bookmark)
    const other = entries.find((entry) => entry.stream_id !== first.stream_id)
    if (other)
      throw new SturdyError(
        "unit_spans_streams",
        `a unit holds ops of ${this.#nameOf(first)} and of ${this.#nameOf(other)}; nothing was written`,
        "A unit is decided by one share in one transaction: use one unit per stream.",
      )
    const ops = entries.map((entry) => entry.op)
    const recorded = this.recorder.record(first.stream_id, ops, bookmark)
    recorded.forEach(({ op_id, seq }, index) => Object.assign(entries[index]!.intent, { op_id, seq }))
    this.written(first.stream_id, entries, recorded)
  }

  #nameOf({ stream_id }: UnitEntry): string {
    return this.streams.get(stream_id).name
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
