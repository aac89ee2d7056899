/**
 * The contract as plain HTTP/JSON: one call per request, for clients without Cap'n Web. The same functions decide as for
 * /rpc/share, so both may be used on one share in turn. The secret is in `Authorization: Bearer`; `Sturdy-Epoch` is the
 * epoch of the grant that the client goes by. On the same paths, with the secret in the body: what opencode 1.18 speaks.
 */
import { post_bytes_max, post_overhead_bytes } from "../intent/limit.ts"
import type { ShareErrorCode } from "../wire/contract.ts"
import { answering } from "./answering.ts"
import { isDenial } from "./capability.ts"
import { appendOps, denied } from "./decide.ts"
import { bodyText, type Exchange, failure, wrongVerb } from "./exchange.ts"
import { boundBy, redeemShare } from "./grant.ts"
import { busy_retry_ms } from "./limit.ts"
import { createShare, removeShareBy } from "./share.ts"
import { ShareError } from "./share-error.ts"
import { syncShare } from "./sync-share.ts"

interface Route {
  path: RegExp
  verb: "GET" | "POST" | "DELETE"
  /** What it throws as a ShareError is answered with the status of its code. */
  answer: (exchange: Exchange, share_id: string) => Promise<Response>
}

const routes: readonly Route[] = [
  { path: /^\/api\/share$/, verb: "POST", answer: create },
  { path: /^\/api\/share\/([^/]+)$/, verb: "DELETE", answer: remove },
  { path: /^\/api\/share\/([^/]+)\/grant$/, verb: "GET", answer: grant },
  { path: /^\/api\/share\/([^/]+)\/ops$/, verb: "POST", answer: append },
  { path: /^\/api\/share\/([^/]+)\/sync$/, verb: "POST", answer: sync },
]

/** Of errors; appendOps answers its refusals with 200. */
const statuses: Record<ShareErrorCode | "internal", number> = {
  malformed: 400,
  stale_epoch: 403,
  revoked: 403,
  expired: 403,
  scope_denied: 403,
  share_unknown: 404,
  share_exists: 409,
  gap: 409,
  server_reset: 409,
  share_removed: 410,
  too_large: 413,
  internal: 500,
  unsupported: 501,
  busy: 503,
}

/** undefined if the path is none of these. */
export async function answerRest(exchange: Exchange): Promise<Response | undefined> {
  for (const { path, verb, answer } of routes) {
    const found = path.exec(exchange.at.pathname)
    if (!found) continue
    if (exchange.request.method !== verb) return wrongVerb(verb)
    const response = await answer(exchange, found[1] ?? "").catch(coded)
    // Secrets and registers are nothing for a cache.
    response.headers.set("cache-control", "no-store")
    return response
  }
  return
}

/** The object form, or as opencode's own client says it: `{sessionID}`. */
async function create(exchange: Exchange): Promise<Response> {
  const { core, origin } = exchange
  const body = await jsonBody(exchange, post_overhead_bytes)
  if (body instanceof Response) return body
  const fields = fieldsOf(body.value)
  const input = "share_id" in fields ? fields : fields.sessionID
  if (input !== fields && typeof input !== "string")
    throw new ShareError("malformed", "malformed: share_id or sessionID")
  return Response.json(answering(core, () => createShare(core, input, origin)))
}

async function grant({ core, request, at }: Exchange, share_id: string): Promise<Response> {
  const input = { share_id, secret: bearer(request), writer_id: at.searchParams.get("writer_id") }
  return Response.json(answering(core, () => redeemShare(core, input).facts))
}

async function append(exchange: Exchange, share_id: string): Promise<Response> {
  const { core, request } = exchange
  const epoch = epochOf(request)
  const body = await jsonBody(exchange, Math.min(core.limits.batch_bytes_max + post_overhead_bytes, post_bytes_max))
  if (body instanceof Response) return body
  const answer = answering(core, () => {
    const bound = boundBy(core, { share_id, secret: bearer(request) }, epoch)
    return isDenial(bound) ? denied(bound) : appendOps(core, bound, body.value)
  })
  return Response.json(answer)
}

/** Legacy. */
async function sync(exchange: Exchange, share_id: string): Promise<Response> {
  const body = await jsonBody(exchange, post_bytes_max)
  if (body instanceof Response) return body
  const { secret, data } = fieldsOf(body.value)
  answering(exchange.core, () => syncShare(exchange.core, { share_id, secret, data }))
  return Response.json({})
}

async function remove(exchange: Exchange, share_id: string): Promise<Response> {
  const { core, request } = exchange
  const epoch = epochOf(request)
  const secret = request.headers.has("authorization") ? bearer(request) : await secretInBody(exchange)
  if (typeof secret !== "string") return secret
  return Response.json(answering(core, () => removeShareBy(core, { share_id, secret }, epoch)))
}

/** Legacy: `{secret}`. */
async function secretInBody(exchange: Exchange): Promise<string | Response> {
  const text = await bodyText(exchange, post_overhead_bytes)
  if (typeof text !== "string" || text === "") return text
  const { secret } = fieldsOf(parsed(text))
  if (typeof secret !== "string") throw new ShareError("malformed", "malformed: secret")
  return secret
}

/** Without one, or with one of another form, a text that is no secret: whoever asks is told no more than for a wrong one. */
function bearer(request: Request): string {
  return /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? ""
}

function epochOf(request: Request): number | undefined {
  const text = request.headers.get("sturdy-epoch")
  if (text === null) return
  if (!/^\d{1,15}$/.test(text)) throw new ShareError("malformed", "malformed: Sturdy-Epoch")
  return Number(text)
}

async function jsonBody(exchange: Exchange, bytes_max: number): Promise<{ value: unknown } | Response> {
  const text = await bodyText(exchange, bytes_max)
  return typeof text === "string" ? { value: parsed(text) } : text
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ShareError("malformed", "the body is not JSON")
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new ShareError("malformed", "the body is not an object")
}

function coded(error: unknown): Response {
  if (!(error instanceof ShareError)) throw error
  const { code, message, service_id } = error
  const response = failure(statuses[code], code, message, service_id === undefined ? {} : { service_id })
  if (error.code === "busy") response.headers.set("retry-after", String(Math.ceil(busy_retry_ms / 1_000)))
  return response
}
