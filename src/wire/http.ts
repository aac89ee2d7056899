/**
 * The transport over HTTP, on Bun's fetch. Redirects are not followed: a 307 would send the secret to another origin.
 * Bun's network errors are told apart by `code` (measured: TypeErrors with ECONNREFUSED, ENOTFOUND, ECONNRESET, …).
 */
import * as limit from "../intent/limit.ts"
import type { Clock } from "../intent/seam.ts"
import { TransportFault, type Transport, type TransportRequest, type TransportResponse } from "./transport.ts"

export function httpTransport(clock: Clock): Transport {
  return async (request) => {
    const abort = new AbortController()
    const onAbort = () => abort.abort(aborted())
    request.signal.addEventListener("abort", onAbort, { once: true })
    const deadline = clock.timer(request.deadline_ms, () => abort.abort(overdue(request)), false)
    try {
      if (request.signal.aborted) throw aborted()
      return await exchange(request, abort.signal)
    } catch (error) {
      throw asFault(error, request)
    } finally {
      deadline.cancel()
      request.signal.removeEventListener("abort", onAbort)
    }
  }
}

async function exchange(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
  const response = await fetch(request.url, {
    method: "POST",
    headers: { "content-type": "text/plain;charset=utf-8", ...request.headers },
    body: request.body,
    redirect: "manual",
    signal,
  })
  const body = await readBody(response)
  // Bun 1.3.14 ends the body of an aborted request as if it were whole.
  if (signal.aborted) throw signal.reason
  return {
    status: response.status,
    retry_after: response.headers.get("retry-after"),
    body,
  }
}

/** Reads the body up to the cap: an endless answer must not fill the memory of the host. */
async function readBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > limit.response_bytes_max)
      throw new TransportFault(
        "response_too_large",
        "unknown",
        `the response has more than ${limit.response_bytes_max} bytes`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

function aborted(): TransportFault {
  return new TransportFault("aborted", "unknown", "the attempt was given up")
}

function overdue(request: TransportRequest): TransportFault {
  return new TransportFault("deadline", "unknown", `no complete answer within ${request.deadline_ms} ms`)
}

function asFault(error: unknown, request: TransportRequest): TransportFault {
  if (error instanceof TransportFault) return error
  const code = codeOf(error)
  const where = originOf(request.url)
  const details = { cause: error }
  if (code === "ECONNREFUSED" || code === "ConnectionRefused")
    return new TransportFault("refused", "not_sent", `${where} refused the connection`, details)
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "FailedToOpenSocket")
    return new TransportFault("name_not_found", "not_sent", `${where} was not found`, details)
  if (code === "ERR_INVALID_URL")
    return new TransportFault("invalid_url", "not_sent", "the service's URL is not valid", details)
  return new TransportFault("connection_lost", "unknown", `the connection to ${where} was lost (${code})`, details)
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "no code"
}

/** Origin only: a path or a query could hold what must not be logged. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "the service"
}
