/**
 * Finding the unit that a service cannot take: first the batch alone, then its halves, cut between units, down to one,
 * which then blocks the stream. It is no dead letter: only the server makes those, and its outcome may be unknown.
 * Bounded: each step halves what is sent, so a batch of 1,000 units is narrowed to one in 11 steps.
 *
 * An answer to the POST as a whole (HTTP 500) may be of a service that fails at everything. So before each step that it
 * asks for, redeemShare is sent alone: only a service that takes that is failing at the batch.
 */
import * as limit from "../intent/limit.ts"
import type { FrozenBatch, Shipment } from "../store/freeze.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Post } from "../wire/post.ts"
import { type AttemptFault, blocked, type Next } from "./classify.ts"
import type { Verdict } from "./verdict.ts"

/** The verdict, with what is to be sent next time made smaller if size or content is to blame for its fault. */
export function narrowed(shipment: Shipment, post: Post, verdict: Verdict): Verdict {
  const { next } = verdict
  if (next.go !== "retry" || !blamesBatch(verdict, post)) return verdict
  const { fault } = next
  const isSize = fault.blames === "size"
  const beyond = (verdict.patch.service_fault_count ?? 0) - limit.service_faults_max
  if (!isSize && beyond < 0) return verdict
  if (!isSize && !hasGrant(verdict) && beyond % 2 === 0) return { ...verdict, patch: { ...verdict.patch, probing: 1 } }
  const rest = shipment.batches.slice(verdict.acked.length)
  const again: Next = { go: "retry", fault: { ...fault, at_once: isSize } }
  // Without a grant the answer was to the POST as a whole.
  if (!hasGrant(verdict) && rest.length > 1) return { ...verdict, alone: true, next: again }
  const batch = rest[0]!
  if (batch.units.length > 1) return { ...verdict, alone: true, cut: batch, next: again }
  const reason = isSize ? "too_large" : "service_fault"
  return { ...verdict, next: blocked(reason, describe(batch, fault), fault.retry_after_ms) }
}

/** Answers in a row that blame the first batch, this one included; an Ack begins a new row. */
export function serviceFaults(stream: StreamRow, verdict: Verdict, post: Post): number {
  const before = verdict.acked.length > 0 ? 0 : stream.service_fault_count
  const { next } = verdict
  return next.go === "retry" && next.fault.blames === "content" && blamesBatch(verdict, post) ? before + 1 : before
}

/** What createShare or redeemShare failed at says nothing of a batch. */
function blamesBatch(verdict: Verdict, post: Post): boolean {
  const { next } = verdict
  if (next.go !== "retry" || !next.fault.blames || post.batches.length === 0) return false
  return hasGrant(verdict) || next.fault.code.startsWith("http_")
}

function hasGrant({ patch }: Verdict): boolean {
  return patch.granted === 1
}

function describe({ ops, bytes }: FrozenBatch, { code, message }: AttemptFault): string {
  const { op_id, method } = ops[0]!
  const others = ops.length > 1 ? ` and ${ops.length - 1} more of its unit` : ""
  const answer = code.startsWith("http_") ? message : `${code}, ${message}`
  return `${method} (${op_id})${others}, ${bytes} bytes, was answered: ${answer}`
}
