/**
 * What the answers of one POST mean together: pure, from them to what is settled and what happens next. What a single
 * code means stands in classify.ts.
 */
import { registerAfter, type Register } from "../intent/base.ts"
import * as limit from "../intent/limit.ts"
import type { AckedBatch, StreamPatch } from "../store/settle.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Ack, AppendBatch, GrantFacts, Refusal, SyncInfo } from "../wire/contract.ts"
import { withoutSecrets, type Answer, type Post, type PostAnswer } from "../wire/post.ts"
import type { FrozenBatch, Shipment } from "../store/freeze.ts"
import { ackFault, grantFactsFault, isRefusal } from "./check-ack.ts"
import { blameless, blocked, isFirst, type Next, noAnswer, protocolFault, refusedCall, retry } from "./classify.ts"
import { narrowed, serviceFaults } from "./narrow.ts"
import { bothRefused, isByNext, secretOf } from "./next-secret.ts"
import { afterProbe } from "./probe.ts"

export interface Verdict {
  acked: AckedBatch[]
  patch: StreamPatch
  reset?: Register
  twin?: boolean
  /** The next POST carries its first batch alone. */
  alone?: boolean
  /** Is split between two of its units before it is sent again. */
  cut?: FrozenBatch
  /** The reason of the block that is lifted. */
  lifted?: string
  /** The service lost the share, or what it had acknowledged. */
  lost?: boolean
  /** The secret of a rotation opened the share: it takes the place of the old one. */
  rotated?: string
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
  const { share_id, secret, session_id, writer_id, protocol, remote_id, remote_secret } = stream
  return {
    service: stream.service,
    headers,
    create: session_id !== null && stream.granted === 0 ? { share_id, secret, session_id } : undefined,
    redeem: { share_id, secret: secretOf(stream), writer_id },
    batches: envelopes(stream, batches),
    remove: stream.time_removal !== null,
    ...(protocol !== null && { protocol }),
    ...(remote_id !== null && remote_secret !== null && { remote: { id: remote_id, secret: remote_secret } }),
    first: stream.post_count === 0,
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
  const meant = meaningOf(shipment, post, answer, facts)
  meant.lost = meant.reset !== undefined || meant.patch.probing === 1
  meant.patch.service_fault_count = serviceFaults(stream, meant, post)
  if (meant.patch.granted === 1 && isByNext(stream, post)) meant.rotated = post.redeem.secret
  const verdict = narrowed(shipment, post, meant)
  return stream.block === null ? verdict : afterProbe(stream, verdict)
}

function meaningOf(shipment: Shipment, post: Post, answer: PostAnswer, facts: OutboxFacts): Verdict {
  const { stream } = shipment
  const patch: StreamPatch = {}
  const only = (next: Next): Verdict => ({ acked: [], patch, next })
  if (answer.spoken !== undefined && answer.spoken !== stream.protocol) patch.protocol = answer.spoken
  if (answer.created?.kind === "value") applyCreated(patch, stream, answer.created.value)
  if (answer.created?.kind === "refused") return only(createRefused(stream, answer.created, post))
  if (answer.grant.kind === "refused") return only(redeemRefused(stream, post, answer.grant, patch))
  if (answer.grant.kind !== "value")
    return only(answer.apart ? blameless(noAnswer(answer.grant)) : noAnswer(answer.grant))
  const wrong = grantFault(stream, answer.grant.value)
  if (wrong) return only(wrong)
  applyGrant(patch, answer.grant.value)
  if (answer.removed) return only(removalNext(stream, answer.removed))
  return appended(shipment, post, answer, facts, patch)
}

/** A call that was refused; `service_id`: by whom. */
type Refused = Extract<Answer<never>, { kind: "refused" }>

function createRefused(stream: StreamRow, answer: Refused, post: Post): Next {
  if (answer.code === "share_removed")
    return post.remove ? removedBefore(stream, answer) : blocked("share_removed", answer.message)
  if (answer.code === "share_exists")
    return blocked("share_unknown", `the service has a share of this id that is not ours: ${answer.message}`)
  return refusedCall(stream, answer)
}

function redeemRefused(stream: StreamRow, post: Post, answer: Refused, patch: StreamPatch): Next {
  if (answer.code === "share_removed" && post.remove) return removedBefore(stream, answer)
  const both = bothRefused(stream, post, answer)
  if (both) return blocked("revoked", both)
  if (answer.code !== "share_unknown") return refusedCall(stream, answer)
  if (stream.session_id === null)
    return post.remove ? unknownToRemove(stream, answer) : blocked("share_unknown", answer.message)
  if (stream.granted === 0) return retry("share_unknown", answer.message)
  // The service lost the share. Nothing is published there before its identity is known: createShare and redeemShare
  // alone come first.
  patch.granted = 0
  patch.probing = 1
  return retry("share_unknown", answer.message, { at_once: true })
}

/** It knew the secret, so it knew the share: an older one, that does not say who it is, is believed. */
function removedBefore(stream: StreamRow, answer: Refused): Next {
  const { service_id = stream.service_id } = answer
  return isOwn(stream, service_id) ? { go: "closed" } : saidByAnother(stream, answer)
}

/** Nobody can create it again: as good as removed, if the service says so to which the stream belongs. */
function unknownToRemove(stream: StreamRow, answer: Refused): Next {
  return isOwn(stream, answer.service_id) ? { go: "closed" } : saidByAnother(stream, answer)
}

/** A stream that had no grant yet belongs to whoever answers. */
function isOwn(stream: StreamRow, service_id: string | null | undefined): boolean {
  return stream.service_id === null || stream.service_id === service_id
}

function saidByAnother({ service, service_id, secret }: StreamRow, answer: Refused): Next {
  const who = withoutSecrets(answer.service_id ?? "of an identity that it does not say", { redeem: { secret } })
  return blocked(
    "other_server",
    `the service at ${service} is ${who}, and says of the removal: ${answer.message}; this stream belongs to ${service_id}`,
  )
}

function grantFault(stream: StreamRow, grant: GrantFacts): Next | undefined {
  const wrong = grantFactsFault(grant, stream.share_id)
  if (wrong) return protocolFault(`an answer that is no grant: ${wrong}`)
  if (isOwn(stream, grant.service_id)) return
  return blocked(
    "other_server",
    `the service at ${stream.service} is ${grant.service_id}; this stream belongs to ${stream.service_id}`,
  )
}

function applyCreated(patch: StreamPatch, { share_id }: StreamRow, created: Partial<SyncInfo> | null): void {
  const { id, secret, url } = created ?? {}
  if (typeof url === "string") patch.url = url
  if (typeof id !== "string" || typeof secret !== "string" || id === share_id) return
  // The service makes them: from here on the share is known by these.
  patch.remote_id = id
  patch.remote_secret = secret
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
  for (const [index, batch] of shipment.batches.entries()) {
    const one = answer.appended[index]!
    if (one.kind !== "value")
      return { acked, patch, next: one.kind === "refused" ? refusedCall(shipment.stream, one) : noAnswer(one) }
    if (isRefusal(one.value)) return refusedBatch(shipment.stream, post, acked, patch, one.value, facts)
    const wrong = ackFault(one.value, post.batches[index]!)
    if (wrong) return { acked, patch, next: protocolFault(`an answer that is no Ack: ${wrong}`) }
    acked.push(ackedBatch(batch, one.value, post))
  }
  return { acked, patch, next: { go: "on" } }
}

function ackedBatch(batch: FrozenBatch, ack: Ack, post: Post): AckedBatch {
  const said = (message: unknown) => withoutSecrets(String(message), post)
  return {
    batch,
    rejected: new Map(
      ack.rejected.map(({ op_id, code, message }) => [op_id, { code: said(code), message: said(message) }]),
    ),
    results: ack.results ?? {},
    register: { cursor: ack.cursor, head_op_id: ack.head_op_id },
  }
}

function refusedBatch(
  stream: StreamRow,
  post: Post,
  acked: AckedBatch[],
  patch: StreamPatch,
  refusal: Refusal,
  facts: OutboxFacts,
): Verdict {
  const { refused } = refusal
  const message = withoutSecrets(String(refusal.message), post)
  if (refused !== "gap" && refused !== "server_reset")
    return { acked, patch, next: refusedCall(stream, { ...refusal, code: refused, message }) }
  const register = registerOf(refusal)
  if (!register) return { acked, patch, next: protocolFault(`${refused} without a register`) }
  // A service that lost data may name an op that was pruned here.
  const mayBePruned = refused === "server_reset" && stream.pruned_op_id !== null
  const twin = register.head_op_id !== null && !mayBePruned && !facts.knowsOp(register.head_op_id)
  if (refused === "server_reset") {
    if (!facts.hasRetained() && !acked.length) {
      // Where the stream goes on if it is decided that it goes on without what was lost.
      patch.base_cursor = register.cursor
      patch.base_head_op_id = register.head_op_id
      return { acked, patch, next: blocked("server_reset", message) }
    }
    return { acked, patch, reset: register, twin, next: { go: "on" } }
  }
  patch.base_cursor = register.cursor
  patch.base_head_op_id = register.head_op_id
  // A second gap in a row means that somebody else is writing as fast as we are.
  return { acked, patch, twin, next: retry("gap", message, { at_once: acked.length > 0 || isFirst(stream) }) }
}

function registerOf(refusal: Refusal): Register | undefined {
  const { cursor, head_op_id } = refusal
  if (!Number.isSafeInteger(cursor) || (head_op_id !== null && typeof head_op_id !== "string")) return
  return { cursor: cursor!, head_op_id }
}
