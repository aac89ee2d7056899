/** Tells the host what was settled, after it was written. */
import type { Events, OutboxEvents } from "../inspect/event.ts"
import { SturdyError } from "../intent/error.ts"
import type { StreamRow, Streams } from "../store/stream.ts"
import { hintOf, isBlockReason } from "./block.ts"
import type { AttemptFault } from "./classify.ts"
import type { Verdict } from "./verdict.ts"

/** What an earlier process, or the opening itself, left to be known: a host that begins to listen has not heard it. */
export function tellWhatStands(
  events: Events,
  streams: Streams,
  quarantined: OutboxEvents["quarantined"] | undefined,
): void {
  if (quarantined) events.emit("quarantined", quarantined)
  if (!events.has("blocked")) return
  try {
    for (const { name, block, block_message } of streams.all())
      if (block !== null && isBlockReason(block))
        events.emit("blocked", { stream: name, reason: block, message: block_message ?? "", hint: hintOf(block) })
  } catch (error) {
    // Locked just now: `status()` says it at any time.
    if (!(error instanceof SturdyError)) throw error
  }
}

export function announce(events: Events, before: StreamRow, after: StreamRow, verdict: Verdict): void {
  const { acked, reset, twin, lifted, next } = verdict
  const stream = before.name
  if (lifted !== undefined) events.emit("unblocked", { stream, reason: lifted })
  for (const { batch, rejected } of acked) {
    events.emit("acked", { stream, batch_id: batch.batch_id, ops: batch.ops.length, rejected: rejected.size })
    for (const [op_id, { code, message }] of rejected) events.emit("rejected", { stream, op_id, code, message })
  }
  if (twin) events.emit("twin", { stream })
  if (reset) events.emit("server_reset", { stream })
  if (next.go === "closed") events.emit("removed", { stream })
  if (next.go === "retry") failed(next.fault)
  if (next.go !== "block") return
  if (next.fault) failed(next.fault)
  // A probe that finds the same is no news.
  if (before.block !== next.block.reason)
    events.emit("blocked", { stream, ...next.block, hint: hintOf(next.block.reason) })

  function failed({ code, message, outcome }: AttemptFault): void {
    const { attempts, next_attempt_at } = after
    events.emit("failed", { stream, code, message, outcome, attempts, next_attempt_at: next_attempt_at ?? 0 })
  }
}
