/**
 * The transport over HTTP: one request, one answer, under one deadline. Redirects are not followed: a 307 would send the
 * secret to another origin. Through a proxy it is Bun's fetch that speaks, else connections of our own.
 */
import { promisify } from "node:util"
import { brotliDecompress, gunzip, inflate } from "node:zlib"
import * as limit from "../intent/limit.ts"
import type { Clock } from "../intent/seam.ts"
import { codeOf, Connections, type ConnectOptions } from "./connections.ts"
import type { HttpAnswer } from "./http-answer.ts"
import { TransportFault, type Transport, type TransportRequest, type TransportResponse } from "./transport.ts"

export function httpTransport(clock: Clock, options: ConnectOptions = {}): Transport {
  const connections = new Connections(clock, options)
  return async (request) => {
    const url = urlOf(request)
    const headers = headersOf(request)
    const abort = new AbortController()
    const onAbort = () => abort.abort(aborted())
    request.signal.addEventListener("abort", onAbort, { once: true })
    const deadline = clock.timer(request.deadline_ms, () => abort.abort(overdue(request)), false)
    try {
      if (request.signal.aborted) throw aborted("not_sent")
      const answer = await (isProxied(url)
        ? fetchAnswer(url, headers, request, abort.signal, options)
        : connections.exchange(url, requestBytes(url, headers, request), abort.signal))
      return await responseOf(answer)
    } finally {
      deadline.cancel()
      request.signal.removeEventListener("abort", onAbort)
    }
  }
}

function urlOf(request: TransportRequest): URL {
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined
  if (url?.protocol === "http:" || url?.protocol === "https:") return url
  throw new TransportFault("invalid_url", "not_sent", "the service's URL is not valid")
}

function headersOf(request: TransportRequest): Headers {
  try {
    const headers = new Headers(request.headers)
    if (request.method === "GET") headers.delete("content-type")
    else if (!headers.has("content-type")) headers.set("content-type", "text/plain;charset=utf-8")
    // Answers are short; what is not packed shows where it was cut.
    headers.set("accept-encoding", "identity")
    if (!headers.has("user-agent")) headers.set("user-agent", "sturdy")
    // Those of the connection are not the host's to say.
    for (const name of ["host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"])
      headers.delete(name)
    return headers
  } catch {
    // The message of the runtime repeats the value, which may be a secret.
    throw new TransportFault("invalid_headers", "not_sent", "a header of the attempt is not valid in HTTP")
  }
}

function requestBytes(url: URL, headers: Headers, { method = "POST", body: text }: TransportRequest): Buffer {
  const body = Buffer.from(method === "GET" ? "" : text)
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`]
  if (method !== "GET") lines.push(`content-length: ${body.length}`)
  headers.forEach((value, name) => lines.push(`${name}: ${value}`))
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body])
}

async function responseOf({ status, headers, body }: HttpAnswer): Promise<TransportResponse> {
  const date = headers.get("date")
  return {
    status,
    retry_after: headers.get("retry-after"),
    content_type: headers.get("content-type"),
    ...(date !== null && { date }),
    body: (await unpacked(body, headers)).toString("utf8"),
  }
}

const unpack: Record<string, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>> = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

/** Nobody asked for a packed answer; a gateway may send one all the same. */
async function unpacked(body: Buffer, headers: Headers): Promise<Buffer> {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity"
  if (encoding === "identity" || encoding === "" || body.length === 0) return body
  try {
    if (!Object.hasOwn(unpack, encoding)) throw new Error("not known here")
    return await unpack[encoding]!(body, { maxOutputLength: limit.response_bytes_max })
  } catch (cause) {
    if (codeOf(cause) === "ERR_BUFFER_TOO_LARGE") throw tooLarge()
    throw new TransportFault("connection_lost", "unknown", `the answer cannot be unpacked from ${encoding}`, { cause })
  }
}

/**
 * Is a proxy set for URLs of this kind? Which hosts NO_PROXY excepts, and how a proxy is spoken to, only fetch knows;
 * it keeps the process alive while it waits, until the deadline at most.
 */
function isProxied(url: URL): boolean {
  const { HTTP_PROXY, http_proxy, HTTPS_PROXY, https_proxy } = process.env
  return Boolean(url.protocol === "https:" ? https_proxy || HTTPS_PROXY : http_proxy || HTTP_PROXY)
}

async function fetchAnswer(
  url: URL,
  headers: Headers,
  { method = "POST", body }: TransportRequest,
  signal: AbortSignal,
  { ca }: ConnectOptions,
): Promise<HttpAnswer> {
  try {
    const sent = method === "GET" ? {} : { body }
    const init = { method, headers, ...sent, redirect: "manual", signal } as const
    const response = await fetch(url, ca ? { ...init, tls: { ca } } : init)
    const answer = { status: response.status, headers: response.headers, body: await readBody(response) }
    // Bun 1.3.14 ends the body of an aborted request as if it were whole.
    if (signal.aborted) throw signal.reason
    // It has unpacked the body.
    answer.headers.delete("content-encoding")
    return { ...answer, reusable: false }
  } catch (error) {
    throw asFault(error, url.origin)
  }
}

/** Reads the body up to the cap: an endless answer must not fill the memory of the host. */
async function readBody(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > limit.response_bytes_max) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The names of Bun's fetch; here they speak of the proxy, through which alone the service is reached. */
function asFault(error: unknown, origin: string): TransportFault {
  if (error instanceof TransportFault) return error
  const code = codeOf(error)
  const details = { cause: error }
  if (code === "ECONNREFUSED" || code === "ConnectionRefused")
    return new TransportFault("refused", "not_sent", `the way to ${origin} refused the connection`, details)
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "FailedToOpenSocket")
    return new TransportFault("name_not_found", "not_sent", `the way to ${origin} was not found`, details)
  return new TransportFault("connection_lost", "unknown", `the connection to ${origin} was lost (${code})`, details)
}

function tooLarge(): TransportFault {
  const message = `the response has more than ${limit.response_bytes_max} bytes`
  return new TransportFault("response_too_large", "unknown", message)
}

function aborted(delivery: "unknown" | "not_sent" = "unknown"): TransportFault {
  return new TransportFault("aborted", delivery, "the attempt was given up")
}

function overdue(request: TransportRequest): TransportFault {
  return new TransportFault("deadline", "unknown", `no complete answer within ${request.deadline_ms} ms`)
}
