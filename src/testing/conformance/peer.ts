/** The other end of a service under test: real Cap'n Web, one POST at a time, every answer kept as it came. */
import { RpcSession } from "capnweb"
import * as limit from "../../intent/limit.ts"
import { systemClock } from "../../intent/system.ts"
import { BatchTransport } from "../../wire/batch-transport.ts"
import { httpTransport } from "../../wire/http.ts"
import { TransportFault, type Transport, type TransportRequest } from "../../wire/transport.ts"
import type { ServicePlace } from "./service-subject.ts"

export type Answer =
  | { kind: "value"; value: unknown }
  /** What the service threw; `code` is the own property of the error. */
  | { kind: "error"; code: string | undefined; message: string; error: unknown }
  /** The POST brought no answer to this call. */
  | { kind: "fault"; message: string }

/** What is pipelined: members of a result are reachable before it arrives. Inputs are whatever a check wants to send. */
export interface RemoteService {
  createShare(input: unknown): Promise<unknown>
  redeemShare(input: unknown): Promise<unknown> & { share: RemoteShare }
  syncShare(...input: unknown[]): Promise<unknown>
}

export type ShareMethod =
  "appendOps" | "readShare" | "attenuate" | "revokeCapability" | "rotateSecret" | "auditLog" | "removeShare"

export type RemoteShare = Record<ShareMethod, (input?: unknown) => Promise<unknown>>

/** The calls are made on `remote` first, then they are sent. */
export interface Peer {
  readonly remote: RemoteService
  /** What came back, as it came. */
  readonly received: string
  /** Never rejects: a fault is the answer of every call that got none, and is returned. */
  send(place: ServicePlace, deadline_ms: number): Promise<TransportFault | undefined>
}

/** All calls in one POST. */
export class RpcPeer implements Peer {
  readonly #batch = new BatchTransport()
  readonly remote: RemoteService
  /** Body of the response. */
  received = ""

  constructor() {
    const session = new RpcSession(this.#batch, undefined, { limits: { maxMessageSize: limit.response_bytes_max } })
    this.remote = session.getRemoteMain() as unknown as RemoteService
  }

  async send(place: ServicePlace, deadline_ms: number): Promise<TransportFault | undefined> {
    try {
      const response = await transportOf(
        place,
        deadline_ms,
      )({
        url: place.service,
        headers: place.headers ?? {},
        body: this.#batch.body,
        deadline_ms,
        signal: new AbortController().signal,
      })
      this.received = response.body
      if (response.status !== 200)
        throw new TransportFault(
          "http_status",
          "unknown",
          `HTTP ${response.status} ${response.body.slice(0, 200)}`.trimEnd(),
        )
      this.#batch.answer(response)
      return
    } catch (error) {
      const fault = faultOf(error)
      this.#batch.fail(fault)
      return fault
    }
  }
}

/** The place's own fetch function, or HTTP as Sturdy's client speaks it; whatever hangs is given up at the deadline. */
export function transportOf(place: ServicePlace, deadline_ms: number): Transport {
  const transport = place.fetch ? inProcess(place.fetch) : httpTransport(systemClock)
  return async (request) => {
    const abort = new AbortController()
    const overdue = Promise.withResolvers<never>()
    const giveUp = () => {
      overdue.reject(new TransportFault("deadline", "unknown", `no complete answer within ${deadline_ms} ms`))
      abort.abort()
    }
    // It holds the process: sockets do not, and a check that nothing waits for would end unsaid.
    const timer = systemClock.timer(deadline_ms, giveUp, true)
    try {
      const signal = AbortSignal.any([request.signal, abort.signal])
      return await Promise.race([overdue.promise, transport({ ...request, deadline_ms, signal })])
    } finally {
      timer.cancel()
    }
  }
}

function inProcess(answer: NonNullable<ServicePlace["fetch"]>): Transport {
  return async (request: TransportRequest & { method?: string }) => {
    const { url, method = "POST", headers, body, signal } = request
    try {
      const sent = method === "GET" ? {} : { body }
      const response = await answer(new Request(url, { method, headers, signal, ...sent }))
      return {
        status: response.status,
        retry_after: response.headers.get("retry-after"),
        content_type: response.headers.get("content-type"),
        body: await response.text(),
      }
    } catch (error) {
      throw faultOf(error)
    }
  }
}

function faultOf(error: unknown): TransportFault {
  if (error instanceof TransportFault) return error
  return new TransportFault("connection_lost", "unknown", String(error), { cause: error })
}

/** Subscribes at once: capnweb asks for a result when `then` is called. */
export function answerOf(call: PromiseLike<unknown>): Promise<Answer> {
  return Promise.resolve(
    call.then(
      (value): Answer => ({ kind: "value", value }),
      (error: unknown): Answer => {
        if (error instanceof TransportFault) return { kind: "fault", message: error.message }
        const { code } = error as { code?: unknown }
        const message = error instanceof Error ? error.message : String(error)
        return { kind: "error", code: typeof code === "string" ? code : undefined, message, error }
      },
    ),
  )
}
