/** What becomes of one POST, and how it is called in a trace. */
import { TransportFault, type TransportResponse } from "../../wire/transport.ts"

/**
 * - `deliver`: it arrives and is answered.
 * - `refuse`: nobody takes the connection; nothing was sent.
 * - `lose request`, `lose response`: the connection breaks before or after the service had it.
 * - `late`: the client gives up at once, the request arrives when the test says.
 * - `hold`: the client waits until the test lets it through.
 * - `twice`: the service gets it twice, the client hears the second answer.
 * - `html`, `redirect`: a captive portal answers.
 * - `half an answer`: a proxy passes half of it on, as if it were whole.
 * - `{ cut: n }`: the service dies after n calls of the POST; the answer is lost.
 * - `{ change }`: the answer arrives as something else.
 * - `{ status }`: a gateway answers with it, `served` after the service has had the request; `retry_after` in seconds.
 * - `{ late_ms, doubled_ms }`: the request arrives so much later, whoever waits for it; and perhaps once more after that.
 * - `{ slow_ms }`: the answer takes so much longer.
 */
export type Fate =
  | "deliver"
  | "refuse"
  | "lose request"
  | "lose response"
  | "late"
  | "twice"
  | "hold"
  | "html"
  | "redirect"
  | "half an answer"
  | { cut: number }
  | { status: number; served?: boolean; retry_after?: number }
  | { change: (body: string) => string }
  | { late_ms: number; doubled_ms?: number }
  | { slow_ms: number }

export function nameOf(fate: Fate): string {
  if (typeof fate === "string") return fate
  if ("status" in fate) {
    const wait = fate.retry_after === undefined ? "" : ` retry after ${fate.retry_after} s`
    return `${fate.status}${wait}${fate.served ? " after the service had it" : ""}`
  }
  if ("late_ms" in fate)
    return `request ${fate.late_ms} ms late${fate.doubled_ms ? `, and again ${fate.doubled_ms} ms later` : ""}`
  if ("slow_ms" in fate) return `answer ${fate.slow_ms} ms late`
  return "cut" in fate ? `cut after ${fate.cut} calls` : "changed answer"
}

export function lost(): TransportFault {
  return new TransportFault("connection_lost", "unknown", "the connection was lost")
}

/** The text of a POST up to its n-th call, as a service has read it that then died. */
export function firstCalls(body: string, calls: number): string {
  const lines = body.split("\n")
  let seen = 0
  const end = lines.findIndex((line) => (JSON.parse(line) as unknown[])[0] === "push" && ++seen > calls)
  return (end < 0 ? lines : lines.slice(0, end)).join("\n")
}

/** Of whoever stands before the service. */
export function gatewayAnswer(status: number, retry_after?: number): TransportResponse {
  return { status, retry_after: retry_after === undefined ? null : String(retry_after), content_type: null, body: "" }
}

export const portal: TransportResponse = {
  status: 200,
  retry_after: null,
  content_type: "text/html; charset=utf-8",
  body: "<html><body>Please log in</body></html>",
}
