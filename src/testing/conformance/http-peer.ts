/** The other end of a service under test in plain HTTP/JSON: one request per call, one after the other, in the order of the calls. */
import { apiUrl } from "../../wire/endpoint.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "../../wire/transport.ts"
import { type Peer, type RemoteService, type RemoteShare, type ShareMethod, transportOf } from "./peer.ts"
import type { ServicePlace } from "./service-subject.ts"

type Verb = "GET" | "POST" | "DELETE"

interface Sending {
  headers?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
}

/** One request; `path` is below `/api/share`. */
type Ask = (verb: Verb, path: string, sending?: Sending) => Promise<unknown>

interface Ref {
  share_id: string
  secret: string
}

export class HttpPeer implements Peer {
  readonly #calls: { run: (ask: Ask) => Promise<void>; fail: (fault: TransportFault) => void }[] = []
  readonly remote: RemoteService
  /** Bodies of all responses. */
  received = ""

  constructor() {
    this.remote = {
      createShare: (input) => this.#call((ask) => ask("POST", "", { body: input })),
      redeemShare: (input) => this.#redeem(input as Ref & { writer_id: string }),
      syncShare: () => this.#call(() => noRoute("syncShare")),
    }
  }

  async send(place: ServicePlace, deadline_ms: number): Promise<TransportFault | undefined> {
    const ask = this.#asking(place, deadline_ms)
    let fault: TransportFault | undefined
    for (const { run, fail } of this.#calls) {
      if (fault) fail(fault)
      else
        await run(ask).catch((error: unknown) => {
          if (error instanceof TransportFault) fault = error
        })
    }
    return fault
  }

  #redeem({ share_id, secret, writer_id }: Ref & { writer_id: string }): Promise<unknown> & { share: RemoteShare } {
    const at = `/${encodeURIComponent(share_id)}`
    const headers = { authorization: `Bearer ${secret}` }
    const grant = this.#call((ask) => ask("GET", `${at}/grant`, { headers, query: { writer_id } }))
    // A call on what was not granted fails as its grant did.
    const granted = (verb: Verb, path: string, body?: unknown) =>
      this.#call(async (ask) => {
        const { epoch } = (await grant) as { epoch: number }
        return ask(verb, path, { headers: { ...headers, "sturdy-epoch": String(epoch) }, body })
      })
    const none = (method: ShareMethod) => () => this.#call(() => noRoute(method))
    const share: RemoteShare = {
      appendOps: (batch) => granted("POST", `${at}/ops`, batch),
      removeShare: () => granted("DELETE", at),
      readShare: none("readShare"),
      attenuate: none("attenuate"),
      revokeCapability: none("revokeCapability"),
      rotateSecret: none("rotateSecret"),
      auditLog: none("auditLog"),
    }
    return Object.assign(grant, { share })
  }

  #call(run: (ask: Ask) => Promise<unknown>): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    // Whoever made the call may look at another one first.
    promise.catch(() => {})
    this.#calls.push({
      fail: reject,
      run: (ask) =>
        run(ask).then(resolve, (error: unknown) => {
          reject(error)
          throw error
        }),
    })
    return promise
  }

  #asking(place: ServicePlace, deadline_ms: number): Ask {
    const { signal } = new AbortController()
    const transport = transportOf(place, deadline_ms)
    return async (verb, path, { headers, query = {}, body } = {}) => {
      const request: TransportRequest & { method: Verb } = {
        method: verb,
        url: apiUrl(place.service, `/api/share${path}`, query),
        headers: { ...place.headers, "content-type": "application/json", ...headers },
        body: body === undefined ? "" : JSON.stringify(body),
        deadline_ms,
        signal,
      }
      const response = await transport(request)
      this.received += response.body
      // What is too large for the route is so for its batch: a client does the same for both.
      if (response.status === 413 && path.endsWith("/ops")) return { refused: "too_large", message: "HTTP 413" }
      return valueOf(response)
    }
  }
}

/** Coded errors are those of the contract; what else is not 200 says nothing of the call. */
function valueOf({ status, body, content_type }: TransportResponse): unknown {
  const said = content_type?.startsWith("application/json") ? jsonOf(body) : undefined
  if (status === 200 && said !== undefined) return said
  const { code, message } = (said as { error?: { code?: unknown; message?: unknown } } | undefined)?.error ?? {}
  if (typeof code !== "string")
    throw new TransportFault("http_status", "unknown", `HTTP ${status} ${body.slice(0, 200)}`.trimEnd())
  throw Object.assign(new Error(String(message)), { code })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return
  }
}

async function noRoute(method: string): Promise<never> {
  throw new Error(`plain HTTP/JSON has no ${method}`)
}
