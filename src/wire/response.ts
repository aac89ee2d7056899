/** What an HTTP response says before it is an answer: its type, an error of the contract in its body, or its fault. */
import type { Clock } from "../intent/seam.ts"
import { type ShareErrorCode, shareErrorCodes } from "./contract.ts"
import { retryAfterMs } from "./retry-after.ts"
import { TransportFault, type TransportResponse } from "./transport.ts"

/** Without its parameters. */
export function mediaType(content_type: string | null): string {
  return (content_type ?? "").split(";")[0]!.trim().toLowerCase()
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
