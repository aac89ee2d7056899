/** The share service over HTTP, on any runtime with fetch's classes: rpc, the public data of a share, health. */
import { post_bytes_max } from "../intent/limit.ts"
import { isId } from "../intent/ulid.ts"
import { readBody } from "./body.ts"
import type { Core } from "./core.ts"
import { post_lines_max } from "./limit.ts"
import { readItems } from "./opencode-items.ts"
import { answerBatch } from "./rpc.ts"
import { ShareServiceTarget } from "./target.ts"

/** `url`: origin of the urls of shares, without a trailing slash; by default the origin of the request. */
export async function answerRequest(core: Core, request: Request, url?: string): Promise<Response> {
  const at = new URL(request.url)
  const sent = { bytes: 0 }
  const response = await route(core, request, at, url ?? at.origin, sent).catch((error: unknown) => {
    core.observe({ name: "failure", error })
    return failure(500, "internal", "the server failed")
  })
  core.observe({
    name: "request",
    method: request.method,
    path: at.pathname,
    status: response.status,
    bytes: sent.bytes,
  })
  return response
}

async function route(
  core: Core,
  request: Request,
  at: URL,
  origin: string,
  sent: { bytes: number },
): Promise<Response> {
  const data = /^\/api\/share\/([^/]+)\/data$/.exec(at.pathname)
  if (data) return reading(request) ?? shareData(core, data[1]!)
  switch (at.pathname) {
    case "/rpc/share":
      return request.method === "POST" ? rpc(core, request, origin, sent) : wrongVerb("POST")
    case "/health":
      core.sql.get(`SELECT 1`)
      return reading(request) ?? Response.json({ ok: true })
    case "/":
      return reading(request) ?? Response.json({ name: "sturdy share service", rpc: "/rpc/share" })
    default:
      return failure(404, "not_found", "there is nothing here")
  }
}

async function rpc(core: Core, request: Request, origin: string, sent: { bytes: number }): Promise<Response> {
  const body = await readBody(request, post_bytes_max)
  if (body === "too_large") return failure(413, "too_large", `a POST may have ${post_bytes_max} bytes`)
  if (body === "not_text") return failure(415, "malformed", "the body is not plain UTF-8 text")
  if (body === "cut_off") return failure(400, "malformed", "the connection ended within the body")
  sent.bytes = body.bytes
  // A last line that ends is not another line.
  const lines = body.text.replace(/\n$/, "").split("\n")
  if (lines.length > post_lines_max) return failure(413, "too_large", `a POST may have ${post_lines_max} lines`)
  const text = await answerBatch(body.text ? lines : [], new ShareServiceTarget(core, origin)).catch(() => undefined)
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

function wrongVerb(allow: string): Response {
  const response = failure(405, "method_not_allowed", `this path takes ${allow}`)
  response.headers.set("allow", allow)
  return response
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status })
}
