/** One HTTP request under way, its body, and the answers that every route may give. */
import { readBody } from "./body.ts"
import type { Core } from "./core.ts"

export interface Exchange {
  readonly core: Core
  readonly request: Request
  readonly at: URL
  /** Of the urls of shares, without a trailing slash. */
  readonly origin: string
  /** Of the body, as far as it was taken. */
  bytes: number
}

/** The body, or the answer to a request that has none that can be read. */
export async function bodyText(exchange: Exchange, bytes_max: number): Promise<string | Response> {
  const body = await readBody(exchange.request, bytes_max)
  if (body === "too_large") return failure(413, "too_large", `a body may have ${bytes_max} bytes here`)
  if (body === "not_text") return failure(415, "malformed", "the body is not plain UTF-8 text")
  if (body === "cut_off") return failure(400, "malformed", "the connection ended within the body")
  exchange.bytes = body.bytes
  return body.text
}

/** `more`: what an error says beside its code. */
export function failure(status: number, code: string, message: string, more: { service_id?: string } = {}): Response {
  return Response.json({ error: { code, message, ...more } }, { status })
}

export function wrongVerb(allow: string): Response {
  const response = failure(405, "method_not_allowed", `this path takes ${allow}`)
  response.headers.set("allow", allow)
  return response
}
