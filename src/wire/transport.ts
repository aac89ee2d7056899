/**
 * The network seam: one HTTP exchange. Own class of fault, so that nothing a server sends can look like one: errors that
 * come off the wire are plain `Error`s with own properties, never instances of this class.
 */

export interface TransportRequest {
  url: string
  /** @default "POST" */
  method?: "GET" | "POST" | "DELETE"
  /** With a content-type, unless the body is of the transport's own default, text/plain. */
  headers: Record<string, string>
  /** Empty: none is sent with GET. */
  body: string
  /** From the call to the last byte received, connecting included. */
  deadline_ms: number
  /** Aborts the attempt; its outcome is then unknown. */
  signal: AbortSignal
}

export interface TransportResponse {
  status: number
  retry_after: string | null
  /** As it came; null if the server said none. */
  content_type: string | null
  /** The server's clock, as it came, if it told it. */
  date?: string
  body: string
}

/** Rejects with `TransportFault` only. */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>

/** `not_sent`: the server cannot have seen the request. `unknown`: it may have decided everything in it. */
export type Delivery = "not_sent" | "unknown"

export type TransportFaultCode =
  | "refused"
  | "name_not_found"
  | "unreachable"
  | "tls"
  | "invalid_url"
  | "invalid_headers"
  | "connection_lost"
  | "deadline"
  | "aborted"
  | "http_status"
  | "redirect"
  | "response_too_large"
  | "not_rpc"
  | "answer_missing"

export class TransportFault extends Error {
  override readonly name = "TransportFault"

  constructor(
    readonly code: TransportFaultCode,
    readonly delivery: Delivery,
    message: string,
    /** `coded`: the body is an error of the contract, so a share service has answered. */
    readonly details: { status?: number; coded?: boolean; retry_after_ms?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
  }
}
