/**
 * One POST over Cap'n Web: all calls pipelined, in order, in one exchange. A session lives as long as its POST; every
 * stub dies with it, which is why the intents are stored and not the stubs.
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
import { type Answer, factsOf, type Post, type PostAnswer, withoutSecret } from "./post.ts"
import type { Protocol, ProtocolContext } from "./protocol.ts"
import { faultOf, foreignFault, mediaType, serviceOf, statusFault } from "./response.ts"
import { TransportFault, type TransportResponse } from "./transport.ts"

/** The live interface as a client sees it: every result a promise, members of results reachable before they arrive. */
interface RemoteService {
  createShare(input: CreateShareInput): Promise<SyncInfo>
  redeemShare(input: RedeemInput): Promise<GrantFacts & Partial<Disposable>> & { share: RemoteShare }
}

interface RemoteShare {
  appendOps(batch: AppendBatch): Promise<Ack | Refusal>
  removeShare(): Promise<{ removed: true }>
}

/** Cap'n Web over HTTP batch. */
export const rpc: Protocol = { name: "rpc", send }

async function send(post: Post, { transport, clock, signal }: ProtocolContext): Promise<PostAnswer> {
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

function errorAnswer(error: unknown, secret: string): Answer<never> {
  if (error instanceof TransportFault) return { kind: "fault", fault: error }
  const message = withoutSecret(error instanceof Error ? error.message : String(error), secret)
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string")
    return { kind: "refused", code: withoutSecret(error.code, secret), message, ...serviceOf(error) }
  return { kind: "failed", message }
}
