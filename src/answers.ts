/** What callers of `result` and `flush` wait for and are told, looked up in the outbox whenever something was settled. */
import { decodeValue } from "./intent/codec.ts"
import { SturdyError } from "./intent/error.ts"
import type { Clock, Timer } from "./intent/seam.ts"
import type { Block } from "./flusher/block.ts"
import type { DiskBlock } from "./flusher/disk-block.ts"
import type { IntentOp } from "./handle.ts"
import type { Knowledge } from "./store/knowledge.ts"
import type { StreamRow, Streams } from "./store/stream.ts"
import { Waiting } from "./waiting.ts"

export interface FlushReport {
  /** Every op recorded before the call is settled. */
  settled: boolean
  /** Streams that stand, and why. */
  blocked: { stream: string; reason: string; message: string }[]
}

/** Beyond it setTimeout fires at once; 24 days are as long as it takes. */
const timeout_ms_max = 2 ** 31 - 1

export class Answers {
  #endFlush: (() => void) | undefined
  readonly #waiting: Waiting
  /** Streams as one look at all who wait found them: thousands may wait on one. */
  #rows: Map<number, StreamRow> | undefined

  constructor(
    readonly knowledge: Knowledge,
    readonly streams: Streams,
    readonly diskBlock: DiskBlock,
    readonly clock: Clock,
  ) {
    this.#waiting = new Waiting(clock)
  }

  /** Somebody waits. */
  get awaited(): boolean {
    return this.#waiting.any
  }

  /** Something may have been settled. */
  changed(): void {
    this.#rows = new Map()
    try {
      this.#waiting.changed()
    } finally {
      this.#rows = undefined
    }
  }

  /** Whoever waits now hears of it. */
  fail(error: Error): void {
    this.#waiting.fail(error)
  }

  /** Nobody may wait any longer, nor from now on. */
  end(error: Error): void {
    this.#waiting.end(error)
  }

  async result<T>(op: IntentOp): Promise<T> {
    if (!op.want_result)
      throw new SturdyError(
        "invalid_argument",
        `${op.method} (${op.op_id}) was recorded without wantResult`,
        "Record it with wantResult, or through a stub.",
      )
    let superseded_count: number | undefined
    return this.#waiting.until(() => {
      const row = this.#row(op.stream_id)
      if (superseded_count !== undefined && isPending(row, op, superseded_count)) return
      const found = resultOf(this.knowledge, row, op) as { value: T } | undefined
      superseded_count = row.superseded_count
      return found
    })
  }

  #row(stream_id: number): StreamRow {
    const row = this.#rows?.get(stream_id) ?? this.streams.get(stream_id)
    this.#rows?.set(stream_id, row)
    return row
  }

  /** The report on all that is recorded by now. */
  async flush(): Promise<FlushReport> {
    const targets = flushTargets(this.streams)
    return this.#waiting.until(() => flushReport(this.streams, targets, this.diskBlock))
  }

  /** The same, as far as `limit_ms` goes: resolves when it is there, or will not be in time. */
  async flushFor(limit_ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#endFlush = resolve
    // Who waits holds the process: without a timer too.
    const timer = this.endFlushIn(limit_ms)
    this.flush().then(
      () => resolve(),
      () => resolve(),
    )
    await promise
    timer?.cancel()
  }

  /** The flush of `flushFor` is given up by then, if it is still on. */
  endFlushIn(limit_ms: number): Timer | undefined {
    return limit_ms <= timeout_ms_max ? this.clock.timer(limit_ms, () => this.#endFlush?.(), true) : undefined
  }
}

/**
 * Nothing can have become of an op that was pending when its stream had superseded this many: seen without a look at its
 * rows, so that a settlement costs those nothing that it did not reach.
 */
function isPending(row: StreamRow, op: IntentOp, superseded_count: number): boolean {
  if (op.seq === undefined || op.seq <= row.cursor) return false
  return row.time_closed === null && row.superseded_count === superseded_count
}

/** The result of the op; undefined while it is pending. @throws SturdyError if there will be none. */
function resultOf(knowledge: Knowledge, row: StreamRow, op: IntentOp): { value: unknown } | undefined {
  const found = knowledge.stateOf(row, op.op_id, op.seq)
  const name = `${op.method} (${op.op_id})`
  switch (found?.state) {
    case "pending":
      return
    case "applied":
      // A method that returned nothing has a text for it: no text means that the service keeps no result any more.
      if (found.result === undefined) throw unknownResult(name)
      return { value: decodeValue(found.result) }
    case "dead":
      throw new SturdyError(
        "op_rejected",
        `${name} was rejected: ${found.code}, ${found.message}`,
        hintOfDead(found.retried_op_id),
      )
    case "superseded":
      throw new SturdyError(
        "op_superseded",
        `${name} was replaced by ${found.by_op_id ?? "a newer op of its key"} before it was sent`,
        "Wait for the result of the newer one.",
      )
    case "discarded":
      if (found.code === undefined)
        throw new SturdyError(
          "op_discarded",
          `${name} was given up when its share was removed`,
          "Share again under a new name.",
        )
      throw new SturdyError(
        "op_discarded",
        `${name} was rejected (${found.code}), and its dead letter was discarded`,
        "If it is wanted after all, record it anew, corrected.",
      )
    case undefined:
      throw unknownResult(name)
  }
}

function hintOfDead(retried_op_id: string | undefined): string {
  if (retried_op_id !== undefined) return `It was recorded again as ${retried_op_id}: see what becomes of that op.`
  return "It is kept as a dead letter: stream.retry records it again, stream.discard gives it up."
}

function unknownResult(name: string): SturdyError {
  return new SturdyError(
    "op_unknown",
    `${name} was decided, and its result is not kept any more`,
    "Results are kept as long as settled ops are: ask for them sooner.",
  )
}

/** Where each stream's queue ends now: what a flush waits for. */
function flushTargets(streams: Streams): Map<number, number> {
  return new Map(streams.all().map((row) => [row.stream_id, streams.lastSeq(row)]))
}

/**
 * The report, once every stream has reached its target or stands; undefined before. A target that was reached is taken
 * out: each look begins at the first one that is open.
 */
function flushReport(
  streams: Streams,
  targets: Map<number, number>,
  { stopsSending, fileMoved }: DiskBlock,
): { value: FlushReport } | undefined {
  const blocked: FlushReport["blocked"] = []
  // What was settled in a file that is gone is settled for nobody.
  const disk = stopsSending ?? (fileMoved() ? movedBlock : undefined)
  for (const [stream_id, target] of targets) {
    const row = streams.get(stream_id)
    if (disk?.reason !== "database_moved" && hasReached(streams, row, target)) {
      targets.delete(stream_id)
      continue
    }
    if (row.block !== null) blocked.push({ stream: row.name, reason: row.block, message: row.block_message ?? "" })
    else if (disk) blocked.push({ stream: row.name, reason: disk.reason, message: disk.message })
    else return
  }
  return { value: { settled: blocked.length === 0, blocked } }
}

const movedBlock: Block = { reason: "database_moved", message: "the outbox file is no longer in its place" }

function hasReached(streams: Streams, row: StreamRow, target: number): boolean {
  if (row.time_closed !== null && row.repeat_removal === 0) return true
  const owed = row.time_removal !== null || (row.session_id !== null && row.granted === 0)
  // Seqs whose op was superseded lie beyond the cursor without being pending.
  return row.block === null && !owed && (row.cursor >= target || streams.pendingCount(row) === 0)
}

export function closedError(): SturdyError {
  return new SturdyError(
    "closed",
    "the outbox is closed",
    "Open it again with openOutbox; what is pending is sent by whoever does.",
  )
}
