/** What the last attempt of a stream met, in words: `last_error` is a code of the transport, or of the service. */
import { printable } from "../output/terminal.ts"

const words: Record<string, string> = {
  refused: "refuses connections",
  name_not_found: "has no address",
  connection_lost: "ends connections without an answer",
  deadline: "does not answer in time",
  answer_missing: "leaves calls without an answer",
  not_rpc: "answers what is no Cap'n Web",
  response_too_large: "answers more than is taken",
  tls: "fails to prove who it is (TLS)",
  invalid_url: "has an address that is no URL",
  invalid_headers: "is not asked: the host's headers are none",
  headers_fault: "is not asked: the host's headers fail",
  busy: "is busy",
}

/** After "the service". */
export function attemptText(last_error: string): string {
  const status = /^http_(\d{3})$/.exec(last_error)?.[1]
  return words[last_error] ?? (status === undefined ? `answers ${printable(last_error)}` : `answers HTTP ${status}`)
}
