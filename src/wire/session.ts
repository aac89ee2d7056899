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
import { type Answer, factsOf, type Post, type PostAnswer, type Told, withoutSecrets } from "./post.ts"
import type { Protocol, ProtocolContext } from "./protocol.ts"
import type { Rotation, RotationAnswer } from "./rotation.ts"
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
  rotateSecret(input: { secret: string }): Promise<{ epoch: number }>
}

/** Cap'n Web over HTTP batch. */
export const rpc: Protocol = { name: "rpc", send, rotate }

async function send(post: Post, context: ProtocolContext): Promise<PostAnswer> {
  const asked = await inOnePost(post, context, (remote) => {
    const created = post.create && answerOf(remote.createShare(post.create), post)
    const redeemed = remote.redeemShare(post.redeem)
    const grant = answerOf(redeemed.then(factsOf), post)
    const appended = post.batches.map((appendBatch) => answerOf(redeemed.share.appendOps(appendBatch), post))
    const removed = post.remove ? answerOf(redeemed.share.removeShare(), post) : undefined
    return { created, grant, appended, removed }
  })
  return {
    created: await asked.created,
    grant: await asked.grant,
    appended: await Promise.all(asked.appended),
    removed: await asked.removed,
  }
}

async function rotate(rotation: Rotation, context: ProtocolContext): Promise<RotationAnswer> {
  const { redeem, next_secret } = rotation
  const asked = await inOnePost(rotation, context, (remote) => {
    const redeemed = remote.redeemShare(redeem)
    const grant = answerOf(redeemed.then(factsOf), rotation)
    const rotated = answerOf(redeemed.share.rotateSecret({ secret: next_secret }), rotation)
    const renewed = remote.redeemShare({ ...redeem, secret: next_secret })
    return { grant, rotated, renewed: answerOf(renewed.then(factsOf), rotation) }
  })
  return { grant: await asked.grant, rotated: await asked.rotated, renewed: await asked.renewed }
}

/** What `call` asks for, pipelined: everything is said before the POST leaves. */
async function inOnePost<T>(
  { service, headers }: Pick<Post, "service" | "headers">,
  { transport, clock, signal }: ProtocolContext,
  call: (remote: RemoteService) => T,
): Promise<T> {
  const batch = new BatchTransport()
  const session = new RpcSession<ShareService & object>(batch, undefined, {
    limits: { maxMessageSize: limit.response_bytes_max },
  })
  // The remote's own type describes awaited results; this narrow one describes what we pipeline.
  const asked = call(session.getRemoteMain() as unknown as RemoteService)
  try {
    const deadline_ms = limit.request_deadline_ms
    batch.answer(accepted(await transport({ url: service, headers, body: batch.body, deadline_ms, signal }), clock))
  } catch (error) {
    batch.fail(faultOf(error))
  }
  return asked
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
function answerOf<T>(promise: PromiseLike<T>, told: Told): Promise<Answer<T>> {
  return Promise.resolve(
    promise.then(
      (value): Answer<T> => ({ kind: "value", value }),
      (error): Answer<T> => errorAnswer(error, told),
    ),
  )
}

function errorAnswer(error: unknown, told: Told): Answer<never> {
  if (error instanceof TransportFault) return { kind: "fault", fault: error }
  const said = (text: string) => withoutSecrets(text, told)
  const message = said(error instanceof Error ? error.message : String(error))
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string")
    return { kind: "refused", code: said(error.code), message, ...serviceOf(error) }
  return { kind: "failed", message }
}
