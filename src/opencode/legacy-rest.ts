/**
 * opencode's own share service, as opencode 1.18 speaks to it: create, sync, delete, each an HTTP exchange with JSON.
 *
 *   POST   /api/share            {sessionID}             → {id, url, secret}, kept with the stream
 *   POST   /api/share/<id>/sync  {secret, data: items}   one batch (legacy-item.ts)
 *   DELETE /api/share/<id>       {secret}
 *
 * It has no op_ids, registers, grants or refusals: those are made up here. So its promise is less: at least once, in
 * order, the last state of an item stands. A create whose answer is lost leaves a share behind of which nobody knows
 * the secret. To be listed last: whether it is spoken shows only by a create.
 */
import * as limit from "../intent/limit.ts"
import type { Ack, AppendBatch, GrantFacts, SyncInfo } from "../wire/contract.ts"
import { apiUrl } from "../wire/endpoint.ts"
import { answerOf, exchangeJson, type JsonCall, jsonOf } from "../wire/json-exchange.ts"
import { type Answer, type Post, type PostAnswer, unanswered } from "../wire/post.ts"
import type { Protocol, ProtocolContext } from "../wire/protocol.ts"
import { foreignFault, mediaType, statusFault } from "../wire/response.ts"
import type { TransportResponse } from "../wire/transport.ts"
import { isRecord } from "./event.ts"
import { legacyItems } from "./legacy-item.ts"

type Remote = NonNullable<Post["remote"]>

export const legacyRest: Protocol = {
  name: "rest",
  async send(post, context) {
    return { ...(await sent(post, context)), apart: true }
  },
}

async function sent(post: Post, context: ProtocolContext): Promise<PostAnswer> {
  const isDecided = post.protocol === legacyRest.name
  if (post.remote) return toShare(post, post.remote, isDecided, context)
  // Nothing can be there: of what another protocol may have created, that protocol is asked.
  if (post.remove && (isDecided || post.first)) return { ...granted(post), removed }
  if (!post.create) return notThere(post, isDecided)
  const created = await create(post, context)
  if (created.kind !== "value") return { ...unanswered(post, foreignFault("")), created, grant: created }
  const { id, secret } = created.value
  return { ...(await toShare(post, { id, secret }, true, context)), created }
}

/** A ref means nothing to that service, and the share is not ours to create. */
function notThere(post: Post, isDecided: boolean): PostAnswer {
  const message = "opencode's own service makes the ids of shares, and none is known of this one"
  if (!isDecided) return unanswered(post, foreignFault(message))
  return { ...granted(post), grant: { kind: "refused", code: "share_unknown", message } }
}

function create(post: Post, context: ProtocolContext): Promise<Answer<SyncInfo>> {
  return answerOf(async () => {
    const body = { sessionID: post.create!.session_id }
    const response = await call(post, context, { path: "", method: "POST", body })
    if (!isSuccess(response)) throw statusFault(response, context.clock)
    const info = jsonOf(response)
    const isInfo = isRecord(info) && [info.id, info.url, info.secret].every((text) => text && typeof text === "string")
    if (!isInfo) throw foreignFault("the answer is no share: id, url or secret is missing")
    return { kind: "value", value: info as unknown as SyncInfo }
  })
}

/** As long as it is not known that this service speaks so, what it fails at first says nothing of the share. */
async function toShare(post: Post, remote: Remote, isKnown: boolean, context: ProtocolContext): Promise<PostAnswer> {
  const answer = granted(post)
  const { appended } = answer
  if (post.remove) answer.removed = await remove(post, remote, isKnown, context)
  else
    for (const batch of post.batches) {
      const one = await append(post, remote, batch, isKnown, context)
      appended.push(one)
      if (one.kind !== "value") break
    }
  const first = answer.removed ?? appended[0]
  return !isKnown && first?.kind === "fault" ? { ...answer, grant: first } : answer
}

function remove(
  post: Post,
  remote: Remote,
  isKnown: boolean,
  context: ProtocolContext,
): Promise<Answer<{ removed: true }>> {
  return answerOf(async () => {
    const { id, secret } = remote
    const response = await call(post, context, { path: `/${id}`, method: "DELETE", body: { secret } })
    if (isSuccess(response) || (isKnown && isGone(response))) return removed
    throw statusFault(response, context.clock)
  })
}

function append(
  post: Post,
  { id, secret }: Remote,
  batch: AppendBatch,
  isKnown: boolean,
  context: ProtocolContext,
): Promise<Answer<Ack>> {
  return answerOf(async () => {
    const items = legacyItems(batch.ops)
    if (!Array.isArray(items)) {
      const message = `${items.method} (${items.op_id}) has no form in opencode's own share protocol`
      return { kind: "refused", code: "unsupported", message }
    }
    if (items.length === 0) return { kind: "value", value: ackOf(batch) }
    const response = await call(post, context, { path: `/${id}/sync`, method: "POST", body: { secret, data: items } })
    if (isSuccess(response)) return { kind: "value", value: ackOf(batch) }
    if (isKnown && isGone(response))
      return { kind: "refused", code: "share_removed", message: `HTTP ${response.status}: the share is not there` }
    throw statusFault(response, context.clock)
  })
}

/** `path`: after `/api/share`, its steps are encoded here. */
function call(
  post: Post,
  context: ProtocolContext,
  { path, ...how }: Pick<JsonCall, "method" | "body"> & { path: string },
) {
  const steps = path.split("/").map(encodeURIComponent).join("/")
  return exchangeJson({ ...how, url: apiUrl(post.service, `/api/share${steps}`), headers: post.headers }, context)
}

/** @throws TransportFault `not_rpc` for a page, as a captive portal answers with: nothing was taken. */
function isSuccess({ status, content_type }: TransportResponse): boolean {
  if (status < 200 || status >= 300) return false
  if (mediaType(content_type) === "text/html") throw foreignFault("the answer is a page, not of a share service")
  return true
}

/** Said in JSON, as the service speaks: a gateway before it that has lost it for a while says 404 too, in text or HTML. */
function isGone({ status, content_type }: TransportResponse): boolean {
  return (status === 404 || status === 410) && mediaType(content_type) === "application/json"
}

const removed = { kind: "value", value: { removed: true } } as const

/** The answer of a service that grants everything, and was asked nothing yet. */
function granted({ service, redeem, batches }: Post): PostAnswer {
  const [first] = batches
  const value: GrantFacts = {
    share_id: redeem.share_id,
    service_id: `rest:${new URL(service).origin}`,
    epoch: 1,
    scopes: ["read", "append", "admin"],
    cursor: first?.expected_cursor ?? 0,
    head_op_id: first?.expected_head_op_id ?? null,
    limits: {
      batch_ops_max: limit.batch_ops_max,
      batch_bytes_max: limit.batch_bytes_max,
      op_bytes_max: limit.op_bytes_max,
    },
  }
  return { created: undefined, grant: { kind: "value", value }, appended: [], removed: undefined }
}

/** Everything is taken; the register is the one that the batch was made for, and its ops. */
function ackOf({ batch_id, expected_cursor, ops }: AppendBatch): Ack {
  return {
    batch_id,
    cursor: expected_cursor + ops.length,
    head_op_id: ops.at(-1)!.op_id,
    epoch: 1,
    applied: ops.map(({ op_id }) => op_id),
    duplicates: [],
    rejected: [],
  }
}
