/** One attempt over the real transport, and its outcome in short. */
import { expect } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import type { Clock } from "../../src/intent/seam.ts"
import { systemClock } from "../../src/intent/system.ts"
import { httpTransport } from "../../src/wire/http.ts"
import {
  TransportFault,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from "../../src/wire/transport.ts"

/** Every attempt carries it where secrets are: in the body, in a header, and in the query of some URLs. */
export const canary = "canary_secret_0123456789abcdef"

export function requestTo(url: string, more: Partial<TransportRequest> = {}): TransportRequest {
  return {
    url,
    headers: { "x-gateway-key": canary },
    body: canary,
    deadline_ms: limit.request_deadline_ms,
    signal: new AbortController().signal,
    ...more,
  }
}

/** The answer, or the fault in short. No fault may carry a secret, in its causes neither. */
export async function outcomeBy(
  transport: Transport,
  request: TransportRequest,
): Promise<TransportResponse | [code: string, delivery: string, message: string]> {
  try {
    return await transport(request)
  } catch (error) {
    if (!(error instanceof TransportFault)) throw error
    expect(Bun.inspect(error)).not.toContain(canary)
    return [error.code, error.delivery, error.message]
  }
}

export function outcomeOf(url: string, more: Partial<TransportRequest> = {}, clock: Clock = systemClock) {
  return outcomeBy(httpTransport(clock), requestTo(url, more))
}

/** Lets everything happen that needs no time. */
export async function nextTurn(): Promise<string> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  return "nothing yet"
}
