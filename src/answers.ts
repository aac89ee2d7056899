/** What callers of `result` and `flush` are told, looked up in the outbox each time something was settled. */
import { decodeValue } from "./intent/codec.ts"
import { SturdyError } from "./intent/error.ts"
import type { IntentOp } from "./handle.ts"
import type { Knowledge } from "./store/knowledge.ts"
import type { Streams } from "./store/stream.ts"

export interface FlushReport {
  /** Every op recorded before the call is settled. */
  settled: boolean
  /** Streams that stand, and why. */
  blocked: { stream: string; reason: string; message: string }[]
}

/** The result of the op; undefined while it is pending. @throws SturdyError if there will be none. */
export function resultOf(knowledge: Knowledge, streams: Streams, op: IntentOp): { value: unknown } | undefined {
  const found = knowledge.stateOf(streams.get(op.stream_id), op.op_id, op.seq)
  const name = `${op.method} (${op.op_id})`
  switch (found?.state) {
    case "pending":
      return
    case "applied":
      return { value: found.result === undefined ? undefined : decodeValue(found.result) }
    case "dead":
      throw new SturdyError(
        "op_rejected",
        `${name} was rejected: ${found.code}, ${found.message}`,
        "It is kept as a dead letter; record it anew, corrected.",
      )
    case "superseded":
      throw new SturdyError(
        "op_superseded",
        `${name} was replaced by ${found.by_op_id ?? "a newer op of its key"} before it was sent`,
        "Wait for the result of the newer one.",
      )
    case "discarded":
      throw new SturdyError(
        "op_discarded",
        `${name} was given up when its share was removed`,
        "Share again under a new name.",
      )
    case undefined:
      throw new SturdyError(
        "op_unknown",
        `${name} is not kept any more`,
        "Results are kept as long as settled ops are: ask for them sooner.",
      )
  }
}

/** Where each stream's queue ends now: what a flush waits for. */
export function flushTargets(streams: Streams): Map<number, number> {
  return new Map(streams.all().map((row) => [row.stream_id, streams.lastSeq(row)]))
}

/** The report, once every stream has reached its target or stands; undefined before. */
export function flushReport(
  streams: Streams,
  targets: ReadonlyMap<number, number>,
): { value: FlushReport } | undefined {
  const blocked: FlushReport["blocked"] = []
  for (const [stream_id, target] of targets) {
    const row = streams.get(stream_id)
    if (row.time_closed !== null && row.repeat_removal === 0) continue
    if (row.block !== null) {
      blocked.push({ stream: row.name, reason: row.block, message: row.block_message ?? "" })
      continue
    }
    const owed = row.time_removal !== null || (row.session_id !== null && row.granted === 0)
    // Seqs whose op was superseded lie beyond the cursor without being pending.
    if (owed || (row.cursor < target && streams.pendingCount(row) > 0)) return
  }
  return { value: { settled: blocked.length === 0, blocked } }
}
