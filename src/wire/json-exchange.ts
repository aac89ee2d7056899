/** One HTTP exchange with JSON both ways, for protocols that send each call by itself. */
import * as limit from "../intent/limit.ts"
import type { Answer } from "./post.ts"
import type { ProtocolContext } from "./protocol.ts"
import { faultOf, foreignFault, mediaType } from "./response.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "./transport.ts"

export interface JsonCall extends Pick<TransportRequest, "url" | "method" | "headers"> {
  /** Left out: no body. */
  body?: unknown
}

/** The response, whatever its status. @throws TransportFault if none came */
export async function exchangeJson(call: JsonCall, context: ProtocolContext): Promise<TransportResponse> {
  const { transport, signal } = context
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

/** A call's answer by what `ask` returns, or by the fault that it throws. */
export async function answerOf<T>(ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await ask()
  } catch (error) {
    return { kind: "fault", fault: faultOf(error) }
  }
}
