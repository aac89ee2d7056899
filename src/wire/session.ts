/**
 * One POST to a share service: createShare → redeemShare → appendOps … or removeShare, pipelined, in order. A session
 * lives as long as its POST; every stub dies with it, which is why the intents are stored and not the stubs.
 */
import { RpcSession } from "capnweb"
import * as limit from "../intent/limit.ts"
import type { Clock } from "../intent/seam.ts"
import { BatchTransport } from "./batch-transport.ts"
import type {
  Ack,
  AppendBatch,
  CreateShareInput,
  GrantFacts,
  RedeemInput,
  Refusal,
  ShareService,
  SyncInfo,
} from "./contract.ts"
import { faultOf, foreignFault, mediaType, serviceOf, statusFault } from "./json-exchange.ts"
import type { Protocol } from "./protocol.ts"
import { TransportFault, type Transport, type TransportResponse } from "./transport.ts"

export interface Post {
  service: string
  headers: Record<string, string>
  create: CreateShareInput | undefined
  redeem: RedeemInput
  batches: AppendBatch[]
  remove: boolean
  /** Name of the protocol in which the service has answered before. */
  protocol?: string | undefined
  /** The share's id and secret where the service made them. */
  remote?: { id: string; secret: string } | undefined
  /** The first of its stream: no call of it can have been decided before. */
  first?: boolean
}

/** What came back for one call: a value, the server's coded refusal, an uncoded error of the server's, or nothing. */
export type Answer<T> =
  | { kind: "value"; value: T }
  /** `service_id`: whose word it is; a service of an older Sturdy does not say. */
  | { kind: "refused"; code: string; message: string; service_id?: string; retry_after_ms?: number }
  | { kind: "failed"; message: string }
  | { kind: "fault"; fault: TransportFault }

export interface PostAnswer {
  created: Answer<SyncInfo> | undefined
  grant: Answer<GrantFacts>
  appended: Answer<Ack | Refusal>[]
  removed: Answer<{ removed: true }> | undefined
  /** Each call had an exchange of its own: what one of them failed at says nothing of the others. */
  apart?: true
  /** Name of the protocol, if the service itself answered. */
  spoken?: string
}

/** The live interface as a client sees it: every result a promise, members of results reachable before they arrive. */
interface RemoteService {
  createShare(input: CreateShareInput): Promise<SyncInfo>
  redeemShare(input: RedeemInput): Promise<GrantFacts & Partial<Disposable>> & { share: RemoteShare }
}

interface RemoteShare {
  appendOps(batch: AppendBatch): Promise<Ack | Refusal>
  removeShare(): Promise<{ removed: true }>
}

/** Cap'n Web over HTTP batch: all calls in one exchange. */
export const rpc: Protocol = {
  name: "rpc",
  send: (post, { transport, clock, signal }) => sendPost(post, transport, clock, signal),
}

/** Sends the POST and waits for every answer. Never rejects: faults are answers too. */
export async function sendPost(
  post: Post,
  transport: Transport,
  clock: Clock,
  signal: AbortSignal,
): Promise<PostAnswer> {
  const batch = new BatchTransport()
  const session = new RpcSession<ShareService & object>(batch, undefined, {
    limits: { maxMessageSize: limit.response_bytes_max },
  })
  // The remote's own type describes awaited results; this narrow one describes what we pipeline.
  const remote = session.getRemoteMain() as unknown as RemoteService & Disposable
  const { secret } = post.redeem
  const created = post.create && answerOf(remote.createShare(post.create), secret)
  const redeemed = remote.redeemShare(post.redeem)
  const grant = answerOf(redeemed.then(factsOf), secret)
  const appended = post.batches.map((appendBatch) => answerOf(redeemed.share.appendOps(appendBatch), secret))
  const removed = post.remove ? answerOf(redeemed.share.removeShare(), secret) : undefined
  try {
    const deadline_ms = limit.request_deadline_ms
    batch.answer(
      accepted(
        await transport({ url: post.service, headers: post.headers, body: batch.body, deadline_ms, signal }),
        clock,
      ),
    )
  } catch (error) {
    batch.fail(faultOf(error))
  }
  return {
    created: await created,
    grant: await grant,
    appended: await Promise.all(appended),
    removed: await removed,
  }
}

/** The grant without its live part, which dies with this POST. */
export function factsOf(grant: GrantFacts & Partial<Disposable>): GrantFacts {
  const { share_id, service_id, epoch, scopes, cursor, head_op_id, limits } = grant
  return { share_id, service_id, epoch, scopes: [...scopes], cursor, head_op_id, limits: { ...limits } }
}

/** What a Cap'n Web endpoint answers with. capnweb's own says text/plain; a captive portal says text/html. */
const rpc_types = new Set(["", "text/plain", "application/json", "application/octet-stream"])

function accepted(response: TransportResponse, clock: Clock): TransportResponse {
  if (response.status !== 200) throw statusFault(response, clock)
  const type = mediaType(response.content_type)
  if (rpc_types.has(type)) return response
  throw foreignFault(`the answer is of type ${type.slice(0, 40)}, not of Cap'n Web`)
}

/** Subscribes at once: capnweb asks for a result when `then` is called, and an `await` would call it after the POST left. */
function answerOf<T>(promise: PromiseLike<T>, secret: string): Promise<Answer<T>> {
  return Promise.resolve(
    promise.then(
      (value): Answer<T> => ({ kind: "value", value }),
      (error): Answer<T> => errorAnswer(error, secret),
    ),
  )
}

/** What a peer says may repeat what it was sent. */
export function withoutSecret(text: string, secret: string): string {
  return text.replaceAll(secret, "[secret]")
}

function errorAnswer(error: unknown, secret: string): Answer<never> {
  if (error instanceof TransportFault) return { kind: "fault", fault: error }
  const message = withoutSecret(error instanceof Error ? error.message : String(error), secret)
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string")
    return { kind: "refused", code: withoutSecret(error.code, secret), message, ...serviceOf(error) }
  return { kind: "failed", message }
}
