/**
 * capnweb's transport for one POST: collects what the session says, sends it when told to, hands out the answer's
 * lines. Everything is written before `send`, so that one POST carries all calls in the order in which they were made.
 */
import type { RpcTransport } from "capnweb"
import { TransportFault, type TransportResponse } from "./transport.ts"

export class BatchTransport implements RpcTransport {
  readonly #lines: string[] = []
  readonly #answer = Promise.withResolvers<string[]>()
  #next = 0

  constructor() {
    // The session may be dropped before anyone asks for an answer.
    this.#answer.promise.catch(() => {})
  }

  /** Body of the POST. */
  get body(): string {
    return this.#lines.join("\n")
  }

  send(line: string): void {
    // After the body was taken the session only says what it releases; nobody listens to that.
    this.#lines.push(line)
  }

  async receive(): Promise<string> {
    const lines = await this.#answer.promise
    const line = lines[this.#next++]
    if (line === undefined)
      throw new TransportFault("answer_missing", "unknown", "the response ended before all calls were answered")
    return line
  }

  /** @throws TransportFault `not_rpc` if it is not Cap'n Web from its first line on */
  answer(response: TransportResponse): void {
    // A cut last line is not JSON: what came before it still counts, the rest is unknown.
    const lines = response.body.split("\n").filter((line) => line !== "")
    const whole = lines.findIndex((line) => !isMessage(line))
    if (whole === 0 && !(lines.length === 1 && lines[0]!.startsWith('["')))
      throw new TransportFault("not_rpc", "unknown", "the answer is not of a Cap'n Web service", { status: 200 })
    this.#answer.resolve(whole < 0 ? lines : lines.slice(0, whole))
  }

  fail(fault: TransportFault): void {
    this.#answer.reject(fault)
  }
}

/** A capnweb message is a JSON array that begins with its kind. HTML of a captive portal, or half a line, is not. */
function isMessage(line: string): boolean {
  try {
    const message: unknown = JSON.parse(line)
    return Array.isArray(message) && typeof message[0] === "string"
  } catch {
    return false
  }
}
