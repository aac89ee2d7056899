/** Probes: POSTs of a blocked stream, rare ones, that show whether what blocks it is gone. */
import * as limit from "../intent/limit.ts"
import type { Random } from "../intent/seam.ts"
import { unblocked, type StreamRow } from "../store/stream.ts"
import type { BlockReason } from "./block.ts"
import type { Next } from "./classify.ts"
import type { Verdict } from "./verdict.ts"

/** The verdict on a probe: the block is lifted by an answer that a stream without a block would get, else it stays. */
export function afterProbe(stream: StreamRow, verdict: Verdict): Verdict {
  const { next } = verdict
  if (next.go === "closed" || next.go === "block") return verdict
  const stays: Next = {
    go: "block",
    block: { reason: stream.block as BlockReason, message: stream.block_message ?? "" },
  }
  // Too large a batch is an answer too: it is made smaller at the pace of any other.
  const isAnswer = next.go === "on" || next.fault.code === "gap" || next.fault.blames === "size"
  if (!isAnswer) return { ...verdict, next: { ...stays, fault: next.fault } }
  return { ...verdict, patch: { ...verdict.patch, ...unblocked }, lifted: stream.block! }
}

/** Delay before the next probe: doubled by each up to the cap, and spread, since one event may block many clients. */
export function probeDelayMs(probes: number, random: Random): number {
  const delay_ms = Math.min(limit.probe_delay_ms_max, limit.probe_delay_ms_min * 2 ** Math.min(probes, 30))
  return Math.floor(delay_ms * (1 + random.fraction() / 2))
}
