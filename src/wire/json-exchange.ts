/** One HTTP exchange with JSON both ways, for protocols that send each call by itself; and what a status alone means. */
import * as limit from "../intent/limit.ts"
import type { Clock } from "../intent/seam.ts"
import { type ShareErrorCode, shareErrorCodes } from "./contract.ts"
import type { Exchange } from "./protocol.ts"
import { retryAfterMs } from "./retry-after.ts"
import type { Answer } from "./session.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "./transport.ts"

export interface JsonCall extends Pick<TransportRequest, "url" | "method" | "headers"> {
  /** Left out: no body. */
  body?: unknown
}

/** The response, whatever its status. @throws TransportFault if none came */
export async function exchangeJson(call: JsonCall, exchange: Exchange): Promise<TransportResponse> {
  const { transport, signal } = exchange
  const isTyped = Object.keys(call.headers).some((name) => name.toLowerCase() === "content-type")
  const type: Record<string, string> = call.body === undefined || isTyped ? {} : { "content-type": "application/json" }
  try {
    return await transport({
      ...call,
      headers: { ...type, ...call.headers },
      body: call.body === undefined ? "" : JSON.stringify(call.body),
      deadline_ms: limit.request_deadline_ms,
      signal,
    })
  } catch (error) {
    throw faultOf(error)
  }
}

/** What the body says. @throws TransportFault `not_rpc` if it is of another type, `answer_missing` if it is not whole */
export function jsonOf(response: TransportResponse): unknown {
  const type = mediaType(response.content_type)
  if (type !== "application/json") throw foreignFault(`the answer is of type ${type.slice(0, 40)}, not JSON`)
  try {
    return JSON.parse(response.body) as unknown
  } catch {
    throw new TransportFault("answer_missing", "unknown", "the answer is not whole JSON")
  }
}

interface CodedError {
  code: ShareErrorCode
  message: string
  service_id?: string
}

/** What a refusal of the contract says in the body of an error; undefined for any other. */
export function codedError(response: TransportResponse): CodedError | undefined {
  if (response.status < 400 || mediaType(response.content_type) !== "application/json") return
  try {
    const { error } = JSON.parse(response.body) as { error?: { code?: unknown; message?: unknown } }
    const code = shareErrorCodes.find((known) => known === error?.code)
    return code && error && { code, message: String(error.message ?? ""), ...serviceOf(error) }
  } catch {
    return
  }
}

/** Whose word a refusal to redeem is, if it says so. */
export function serviceOf(error: object): { service_id?: string } {
  return "service_id" in error && typeof error.service_id === "string" ? { service_id: error.service_id } : {}
}

/** A call's answer by what `ask` returns, or by the fault that it throws. */
export async function answerOf<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await ask()
  } catch (error) {
    return { kind: "fault", fault: faultOf(error) }
  }
}

/** Of a status that is no success. */
export function statusFault(response: TransportResponse, clock: Clock): TransportFault {
  const { status, retry_after } = response
  const redirect = status >= 300 && status < 400
  const wait = retryAfterMs(retry_after, clock.now())
  return new TransportFault(
    redirect ? "redirect" : "http_status",
    "unknown",
    redirect ? `HTTP ${status}: the service sends elsewhere, which is not followed` : `HTTP ${status}`,
    { status, ...(codedError(response) && { coded: true }), ...(wait !== undefined && { retry_after_ms: wait }) },
  )
}

/** Whoever answered is no share service. */
export function foreignFault(message: string): TransportFault {
  return new TransportFault("not_rpc", "unknown", message, { status: 200 })
}

/** What a transport rejects with. */
export function faultOf(error: unknown): TransportFault {
  if (error instanceof TransportFault) return error
  return new TransportFault("connection_lost", "unknown", "the transport failed", { cause: error })
}

/** Without its parameters. */
export function mediaType(content_type: string | null): string {
  return (content_type ?? "").split(";")[0]!.trim().toLowerCase()
}

/** The address of a call: the service's own is that of its Cap'n Web endpoint, beside which the others lie. */
export function apiUrl(service: string, path: string, query: Record<string, string> = {}): string {
  const url = new URL(service)
  url.pathname = url.pathname.replace(/\/rpc\/share\/?$/, "").replace(/\/+$/, "") + path
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}
