/**
 * What an answer means: pure, from the answer of one POST to what is settled and what happens next. The only place that
 * decides by a code of the service's.
 */
import { registerAfter, type Register } from "../intent/base.ts"
import * as limit from "../intent/limit.ts"
import type { AckedBatch, Settlement, StreamPatch } from "../store/settle.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Ack, AppendBatch, GrantFacts, Refusal } from "../wire/contract.ts"
import type { Answer, Post, PostAnswer } from "../wire/session.ts"
import type { FrozenBatch, Shipment } from "../store/freeze.ts"
import type { Outcome } from "../inspect/event.ts"
import { isBlockReason, type Block } from "./block.ts"
import { ackFault, grantFactsFault, isRefusal } from "./check-ack.ts"

/** Why an attempt brought no answer that settles everything. */
export interface AttemptFault {
  /** Stored as last_error: a code of the transport, of the service, or `protocol`. */
  code: string
  message: string
  outcome: Outcome
  /** Not before this, whatever the backoff says. */
  retry_after_ms?: number
  /** Send again at once: nothing is wrong, the base had moved. */
  at_once?: boolean
}

export type Next =
  { go: "on" } | { go: "retry"; fault: AttemptFault } | { go: "block"; block: Block } | { go: "closed" }

export interface Verdict {
  acked: AckedBatch[]
  patch: StreamPatch
  reset?: Register
  twin?: boolean
  next: Next
}

/** What the verdict must know of the outbox beyond the shipment. */
export interface OutboxFacts {
  /** Does this outbox know the op? A head that it does not know was set by a twin. */
  knowsOp(op_id: string): boolean
  hasRetained(): boolean
}

/** The calls of one POST for this shipment. */
export function postFor(shipment: Shipment, headers: Record<string, string>): Post {
  const { stream, batches } = shipment
  const { share_id, secret, session_id, writer_id } = stream
  return {
    service: stream.service,
    headers,
    create: session_id !== null && stream.granted === 0 ? { share_id, secret, session_id } : undefined,
    redeem: { share_id, secret, writer_id },
    batches: stream.probing ? [] : envelopes(stream, batches),
    remove: stream.time_removal !== null,
  }
}

/** Each batch says what it was made for: the base, then that plus the batch before it. */
function envelopes(stream: StreamRow, batches: readonly FrozenBatch[]): AppendBatch[] {
  const { writer_id, settled_op_id } = stream
  let base: Register = { cursor: stream.base_cursor, head_op_id: stream.base_head_op_id }
  return batches.map(({ batch_id, ops }) => {
    const batch = { writer_id, batch_id, expected_cursor: base.cursor, expected_head_op_id: base.head_op_id }
    base = registerAfter(base, { ops })
    return { ...batch, settled_op_id, ops }
  })
}

export function judge(shipment: Shipment, post: Post, answer: PostAnswer, facts: OutboxFacts): Verdict {
  const { stream } = shipment
  const patch: StreamPatch = {}
  const only = (next: Next): Verdict => ({ acked: [], patch, next })
  if (answer.created?.kind === "value" && typeof answer.created.value?.url === "string")
    patch.url = answer.created.value.url
  if (answer.created?.kind === "refused") return only(createRefused(stream, answer.created, post))
  if (answer.grant.kind === "refused") return only(redeemRefused(stream, post, answer.grant, patch))
  if (answer.grant.kind !== "value") return only(noAnswer(answer.grant))
  const wrong = grantFault(stream, answer.grant.value)
  if (wrong) return only(wrong)
  applyGrant(patch, answer.grant.value)
  if (answer.removed) return only(removalNext(stream, answer.removed))
  return appended(shipment, post, answer, facts, patch)
}

function createRefused(stream: StreamRow, answer: { code: string; message: string }, post: Post): Next {
  if (answer.code === "share_removed") return post.remove ? { go: "closed" } : blocked("share_removed", answer.message)
  if (answer.code === "share_exists")
    return blocked("share_unknown", `the service has a share of this id that is not ours: ${answer.message}`)
  return refusedCall(stream, answer)
}

function redeemRefused(
  stream: StreamRow,
  post: Post,
  answer: { code: string; message: string },
  patch: StreamPatch,
): Next {
  if (answer.code === "share_removed" && post.remove) return { go: "closed" }
  if (answer.code !== "share_unknown") return refusedCall(stream, answer)
  // Nobody can create it again: for a removal that is as good as removed.
  if (stream.session_id === null) return post.remove ? { go: "closed" } : blocked("share_unknown", answer.message)
  if (stream.granted === 0) return retry("share_unknown", answer.message)
  // The service lost the share. Nothing is published there before its identity is known: createShare and redeemShare
  // alone come first.
  patch.granted = 0
  patch.probing = 1
  return retry("share_unknown", answer.message, { at_once: true })
}

function grantFault(stream: StreamRow, grant: GrantFacts): Next | undefined {
  const wrong = grantFactsFault(grant, stream.share_id)
  if (wrong) return protocolFault(`an answer that is no grant: ${wrong}`)
  if (stream.service_id === null || stream.service_id === grant.service_id) return
  return blocked(
    "other_server",
    `the service at ${stream.service} is ${grant.service_id}; this stream belongs to ${stream.service_id}`,
  )
}

/** What one POST can carry, whatever a grant allows. */
const post_room_bytes = limit.post_bytes_max - limit.post_overhead_bytes

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max)
}

function applyGrant(patch: StreamPatch, grant: GrantFacts): void {
  patch.granted = 1
  patch.probing = 0
  patch.service_id = grant.service_id
  patch.epoch = grant.epoch
  // Below the contract's floors a grant has no say: ops that were recorded within them could never be sent.
  patch.batch_ops_max = Math.max(grant.limits.batch_ops_max, limit.batch_ops_floor)
  patch.batch_bytes_max = clamp(grant.limits.batch_bytes_max, limit.batch_bytes_floor, post_room_bytes)
  patch.op_bytes_max = clamp(grant.limits.op_bytes_max, limit.op_bytes_floor, post_room_bytes)
}

function removalNext(stream: StreamRow, answer: Answer<{ removed: true }>): Next {
  if (answer.kind === "value") return { go: "closed" }
  if (answer.kind !== "refused") return noAnswer(answer)
  return answer.code === "share_removed" ? { go: "closed" } : refusedCall(stream, answer)
}

/** In order, up to the first answer that is not an Ack; the rest is dropped, since sending again returns the same. */
function appended(shipment: Shipment, post: Post, answer: PostAnswer, facts: OutboxFacts, patch: StreamPatch): Verdict {
  const acked: AckedBatch[] = []
  for (const [index, batch] of shipment.batches.slice(0, post.batches.length).entries()) {
    const one = answer.appended[index]!
    if (one.kind !== "value")
      return { acked, patch, next: one.kind === "refused" ? refusedCall(shipment.stream, one) : noAnswer(one) }
    if (isRefusal(one.value)) return refusedBatch(shipment.stream, acked, patch, one.value, facts)
    const wrong = ackFault(one.value, post.batches[index]!)
    if (wrong) return { acked, patch, next: protocolFault(`an answer that is no Ack: ${wrong}`) }
    acked.push(ackedBatch(batch, one.value))
  }
  return { acked, patch, next: { go: "on" } }
}

function ackedBatch(batch: FrozenBatch, ack: Ack): AckedBatch {
  return {
    batch,
    rejected: new Map(ack.rejected.map(({ op_id, code, message }) => [op_id, { code, message: String(message) }])),
    results: ack.results ?? {},
    register: { cursor: ack.cursor, head_op_id: ack.head_op_id },
  }
}

function refusedBatch(
  stream: StreamRow,
  acked: AckedBatch[],
  patch: StreamPatch,
  refusal: Refusal,
  facts: OutboxFacts,
): Verdict {
  const { refused } = refusal
  const message = String(refusal.message)
  if (refused !== "gap" && refused !== "server_reset")
    return { acked, patch, next: refusedCall(stream, { code: refused, message }, refusal.retry_after_ms) }
  const register = registerOf(refusal)
  if (!register) return { acked, patch, next: protocolFault(`${refused} without a register`) }
  const twin = register.head_op_id !== null && !facts.knowsOp(register.head_op_id)
  if (refused === "server_reset") {
    if (!facts.hasRetained() && !acked.length) return { acked, patch, next: blocked("server_reset", message) }
    return { acked, patch, reset: register, twin, next: { go: "on" } }
  }
  patch.base_cursor = register.cursor
  patch.base_head_op_id = register.head_op_id
  // A second gap in a row means that somebody else is writing as fast as we are.
  return { acked, patch, twin, next: retry("gap", message, { at_once: acked.length > 0 || isFirst(stream) }) }
}

/** Once at once, then with backoff; and no two answers of this kind take turns. */
function isFirst({ last_error }: StreamRow): boolean {
  return last_error !== "gap" && last_error !== "stale_epoch"
}

function registerOf(refusal: Refusal): Register | undefined {
  const { cursor, head_op_id } = refusal
  if (!Number.isSafeInteger(cursor) || (head_op_id !== null && typeof head_op_id !== "string")) return
  return { cursor: cursor!, head_op_id }
}

/** A coded refusal of any call: a block if a person must act, else another attempt. */
function refusedCall(
  stream: StreamRow,
  { code, message }: { code: string; message: string },
  retry_after_ms?: number,
): Next {
  if (isBlockReason(code) && code !== "share_unknown" && code !== "server_reset") return blocked(code, message)
  const at_once = code === "stale_epoch" && isFirst(stream)
  // The server's word: it may be anything, and an endless or unreadable delay would be none at all.
  const wait = Math.min(Math.max(0, Number(retry_after_ms)), limit.retry_after_ms_max)
  return retry(code, message, { at_once, ...(!Number.isNaN(wait) && { retry_after_ms: wait }) })
}

function noAnswer(answer: Exclude<Answer<unknown>, { kind: "value" } | { kind: "refused" }>): Next {
  if (answer.kind === "failed") return retry("service_fault", answer.message, { outcome: "unknown" })
  const { code, delivery, message, details } = answer.fault
  return retry(code === "http_status" ? `http_${details.status}` : code, message, {
    outcome: delivery,
    ...(details.retry_after_ms !== undefined && { retry_after_ms: details.retry_after_ms }),
  })
}

/** Not what the contract says: whatever was meant, the batch may have been decided. */
function protocolFault(message: string): Next {
  return retry("protocol", message, { outcome: "unknown" })
}

function retry(code: string, message: string, more: Partial<AttemptFault> = {}): Next {
  return { go: "retry", fault: { code, message, outcome: "refused", ...more } }
}

function blocked(reason: Block["reason"], message: string): Next {
  return { go: "block", block: { reason, message } }
}

/** Attempts that failed in a row, this one included: one that settled something begins a new row. */
export function failedAttempts({ acked }: Verdict, stream: StreamRow): number {
  return acked.length > 0 ? 1 : stream.attempts + 1
}

/** The settlement of a verdict. `retry_at`: when the next attempt is due, if it failed. */
export function settlementOf(
  verdict: Verdict,
  stream: StreamRow,
  now: number,
  retry_at: number | undefined,
): Settlement {
  const { acked, reset, twin, next } = verdict
  const patch: StreamPatch = { ...verdict.patch, attempts: 0, next_attempt_at: null, last_error: null }
  if (next.go === "retry") {
    patch.attempts = failedAttempts(verdict, stream)
    patch.next_attempt_at = retry_at ?? null
    patch.last_error = next.fault.code
  }
  if (next.go === "block") {
    patch.block = next.block.reason
    patch.block_message = next.block.message
    patch.time_blocked = now
  }
  if (next.go === "closed") {
    patch.time_closed = stream.time_closed ?? now
    patch.repeat_removal = 0
    patch.block = null
  }
  const lost = reset !== undefined || patch.probing === 1
  return {
    acked,
    patch,
    ...(reset && { reset }),
    ...(twin && { twin }),
    ...(lost && { repeatRemovals: true }),
    posts: 1,
  }
}
