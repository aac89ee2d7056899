/**
 * The contract over plain HTTP with JSON: each call an exchange of its own, one after the other, in the order of the
 * pipeline, up to the first that brings no value. The secret goes as `Authorization: Bearer`, in the place of a host's
 * header of that name.
 *
 *   POST   /api/share                             {share_id, secret, session_id} → SyncInfo
 *   GET    /api/share/<id>/grant?writer_id=<id>   → GrantFacts
 *   POST   /api/share/<id>/ops                    AppendBatch → Ack | Refusal, both with status 200
 *   DELETE /api/share/<id>                        → {removed: true}
 *
 * A service that has not answered yet is asked for the grant first, which reads only: the create, posted to somebody
 * else's server, could make something there.
 */
import type { Ack, AppendBatch, GrantFacts, Refusal, SyncInfo } from "./contract.ts"
import { apiUrl } from "./endpoint.ts"
import { answerOf, exchangeJson, type JsonCall, jsonOf } from "./json-exchange.ts"
import { type Answer, factsOf, type Post, type PostAnswer, unanswered, withoutSecrets } from "./post.ts"
import type { Protocol, ProtocolContext } from "./protocol.ts"
import { codedError, foreignFault, statusFault } from "./response.ts"
import { retryAfterMs } from "./retry-after.ts"
import { TransportFault } from "./transport.ts"

export const httpJson: Protocol = {
  name: "http",
  async send(post, context) {
    return { ...(await sent(post, context)), apart: true }
  },
}

type NoValue = Exclude<Answer<never>, { kind: "value" }>

async function sent(post: Post, context: ProtocolContext): Promise<PostAnswer> {
  const seen = post.protocol === httpJson.name ? undefined : await askGrant(post, context)
  if (seen && seen.kind !== "value" && !isToCreate(post, seen)) return without(post, seen)
  const created = post.create && (await create(post, context))
  // That it is spoken there, the first grant has shown.
  if (created && created.kind !== "value")
    return { ...without(post, created), created, ...(seen && { spoken: httpJson.name }) }
  const grant = seen?.kind === "value" ? seen : await askGrant(post, context)
  const answer = { ...(grant.kind === "value" ? unasked(grant.value) : without(post, grant)), created }
  if (grant.kind !== "value") return answer
  if (post.remove) return { ...answer, removed: await remove(post, grant.value, context) }
  return { ...answer, appended: await append(post, grant.value, context) }
}

function isToCreate(post: Post, answer: NoValue): boolean {
  return post.create !== undefined && answer.kind === "refused" && answer.code === "share_unknown"
}

/** Without the value of a call, nothing that follows from it was asked. */
function without(post: Post, grant: NoValue): PostAnswer {
  const never = new TransportFault("answer_missing", "not_sent", "it was not asked: what comes before it has failed")
  return { ...unanswered(post, never), created: undefined, grant }
}

function unasked(facts: GrantFacts): PostAnswer {
  return { created: undefined, grant: { kind: "value", value: facts }, appended: [], removed: undefined }
}

function create(post: Post, context: ProtocolContext): Promise<Answer<SyncInfo>> {
  return ask(post, context, { method: "POST", path: "", body: post.create }, (value) => value as SyncInfo)
}

function askGrant(post: Post, context: ProtocolContext): Promise<Answer<GrantFacts>> {
  const { share_id, writer_id } = post.redeem
  return ask(post, context, { method: "GET", path: `/${share_id}/grant`, query: { writer_id } }, (value) => {
    const { limits, scopes, service_id } = (value ?? {}) as Partial<GrantFacts>
    const isGrant = typeof limits === "object" && limits && Array.isArray(scopes) && typeof service_id === "string"
    return isGrant ? factsOf(value as GrantFacts) : undefined
  })
}

async function append(post: Post, grant: GrantFacts, context: ProtocolContext): Promise<Answer<Ack | Refusal>[]> {
  const appended: Answer<Ack | Refusal>[] = []
  for (const batch of post.batches) {
    const one = await ask(post, context, appendCall(post, grant, batch), (value) => value as Ack | Refusal)
    appended.push(one)
    const isAck = one.kind === "value" && typeof one.value === "object" && one.value && !("refused" in one.value)
    if (!isAck) break
  }
  return appended
}

function appendCall({ redeem }: Post, { epoch }: GrantFacts, batch: AppendBatch): Call {
  return { method: "POST", path: `/${redeem.share_id}/ops`, body: batch, epoch }
}

function remove(post: Post, { epoch }: GrantFacts, context: ProtocolContext): Promise<Answer<{ removed: true }>> {
  const call: Call = { method: "DELETE", path: `/${post.redeem.share_id}`, epoch }
  return ask(post, context, call, (value) =>
    (value as { removed?: unknown } | null)?.removed === true ? { removed: true } : undefined,
  )
}

interface Call extends Pick<JsonCall, "method" | "body"> {
  /** After `/api/share`. */
  path: string
  query?: Record<string, string>
  /** Of the grant that it goes by. */
  epoch?: number
}

/** `read` returns undefined for what is no answer of this service. */
function ask<T>(
  post: Post,
  context: ProtocolContext,
  { path, query, epoch, ...how }: Call,
  read: (value: unknown) => T | undefined,
): Promise<Answer<T>> {
  const { secret } = post.redeem
  return answerOf(async () => {
    const others = Object.entries(post.headers).filter(([name]) => name.toLowerCase() !== "authorization")
    const headers = {
      ...Object.fromEntries(others),
      authorization: `Bearer ${secret}`,
      ...(epoch !== undefined && { "sturdy-epoch": String(epoch) }),
    }
    const response = await exchangeJson(
      { ...how, url: apiUrl(post.service, `/api/share${path}`, query), headers },
      context,
    )
    if (response.status === 200) {
      const value = read(jsonOf(response))
      if (value === undefined) throw foreignFault("the answer is JSON, but none of a share service")
      return { kind: "value", value }
    }
    const error = codedError(response)
    if (!error) throw statusFault(response, context.clock)
    const wait = retryAfterMs(response.retry_after, context.clock.now())
    const message = withoutSecrets(error.message, post)
    return { kind: "refused", ...error, message, ...(wait !== undefined && { retry_after_ms: wait }) }
  })
}
