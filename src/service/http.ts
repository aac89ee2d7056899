/** The share service over HTTP, on any runtime with fetch's classes: rpc, rest, the public data of a share, health. */
import { post_bytes_max } from "../intent/limit.ts"
import { isId } from "../intent/ulid.ts"
import { drain } from "./body.ts"
import type { Core } from "./core.ts"
import { bodyText, type Exchange, failure, wrongVerb } from "./exchange.ts"
import { post_lines_max } from "./limit.ts"
import { readItems } from "./opencode-items.ts"
import { answerRest } from "./rest.ts"
import { answerBatch } from "./rpc.ts"
import { ShareServiceTarget } from "./target.ts"

/** `url`: origin of the urls of shares, without a trailing slash; by default the origin of the request. */
export async function answerRequest(core: Core, request: Request, url?: string): Promise<Response> {
  const at = new URL(request.url)
  const exchange = { core, request, at, origin: url ?? at.origin, bytes: 0 }
  const response = await route(exchange).catch((error: unknown) => {
    core.observe({ name: "failure", error })
    return failure(500, "internal", "the server failed")
  })
  await drain(request)
  core.observe({
    name: "request",
    method: request.method,
    path: at.pathname,
    status: response.status,
    bytes: exchange.bytes,
  })
  return response
}

async function route(exchange: Exchange): Promise<Response> {
  const { core, request, at } = exchange
  const data = /^\/api\/share\/([^/]+)\/data$/.exec(at.pathname)
  if (data) return reading(request) ?? shareData(core, data[1]!)
  switch (at.pathname) {
    case "/rpc/share":
      return request.method === "POST" ? rpc(exchange) : wrongVerb("POST")
    case "/health":
      core.sql.get(`SELECT 1`)
      return reading(request) ?? Response.json({ ok: true })
    case "/":
      return reading(request) ?? Response.json({ name: "sturdy share service", rpc: "/rpc/share" })
    default:
      return (await answerRest(exchange)) ?? failure(404, "not_found", "there is nothing here")
  }
}

async function rpc(exchange: Exchange): Promise<Response> {
  const body = await bodyText(exchange, post_bytes_max)
  if (typeof body !== "string") return body
  // A last line that ends is not another line.
  const lines = body.replace(/\n$/, "").split("\n")
  if (lines.length > post_lines_max) return failure(413, "too_large", `a POST may have ${post_lines_max} lines`)
  const text = await answerBatch(body ? lines : [], new ShareServiceTarget(exchange.core, exchange.origin)).catch(
    () => undefined,
  )
  // What stood before the bad line was executed; sending it again gives the same outcomes.
  if (text === undefined) return failure(400, "malformed", "a line is not of the Cap'n Web protocol")
  return new Response(text)
}

/** Public by its unguessable id, as opencode's own share server has it. */
function shareData(core: Core, share_id: string): Response {
  const share = isId(share_id)
    ? core.sql.get<{ id: number; time_removed: number | null }>(
        `SELECT id, time_removed FROM share WHERE share_id = ?`,
        share_id,
      )
    : undefined
  const response = !share
    ? failure(404, "share_unknown", "no such share")
    : share.time_removed !== null
      ? failure(410, "share_removed", "the share was removed")
      : new Response(readItems(core.sql, share.id), { headers: { "content-type": "application/json" } })
  response.headers.set("access-control-allow-origin", "*")
  // A removal must show at once.
  response.headers.set("cache-control", "no-store")
  return response
}

function reading(request: Request): Response | undefined {
  return request.method === "GET" || request.method === "HEAD" ? undefined : wrongVerb("GET")
}
