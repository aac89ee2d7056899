/**
 * The seam of wire protocols: several ways of saying one POST to a service, and which of them it speaks. That is known
 * by code only: by an answer of the service itself, or by a status that speaks of the address.
 */
import type { Clock } from "../intent/seam.ts"
import { type Answer, type Post, type PostAnswer, unanswered } from "./post.ts"
import type { Rotation, RotationAnswer } from "./rotation.ts"
import { TransportFault, type Transport } from "./transport.ts"

/** What a protocol sends through. */
export interface ProtocolContext {
  transport: Transport
  clock: Clock
  /** Aborts the attempt. */
  signal: AbortSignal
}

/** One way of speaking to a service. Stateless: what it must know is in the POST. */
export interface Protocol {
  /** Stored with each stream: it never changes. */
  readonly name: string
  /** Sends the calls in order, in as many exchanges as it takes. Faults are answers too: it never rejects. */
  send(post: Post, context: ProtocolContext): Promise<PostAnswer>
  /** Changes the secret of the share's root capability, if it has such a call. Never rejects either. */
  rotate?(rotation: Rotation, context: ProtocolContext): Promise<RotationAnswer>
}

/** Of a server that knows no such address, method or content (RFC 9110 §15.5.5, §15.5.6, §15.5.16, §15.6.2). */
const unspoken_statuses: ReadonlySet<number> = new Set([404, 405, 415, 501])

/** Sends by the protocol that is remembered; else by each in turn, until one is spoken there or may be. */
export async function sendBy(
  protocols: readonly Protocol[],
  post: Post,
  context: ProtocolContext,
): Promise<PostAnswer> {
  const remembered = protocols.find(({ name }) => name === post.protocol)
  if (remembered) return answerBy(remembered, post, context)
  const tried: string[] = []
  let last: PostAnswer | undefined
  for (const protocol of protocols) {
    last = await answerBy(protocol, post, context)
    const status = last.spoken === undefined ? unspokenStatus(last.grant) : undefined
    if (status === undefined) return last
    tried.push(`HTTP ${status} to ${protocol.name}`)
  }
  const details = last?.grant.kind === "fault" ? last.grant.fault.details : {}
  return unanswered(post, new TransportFault("http_status", "unknown", tried.join(", "), details))
}

async function answerBy(protocol: Protocol, post: Post, context: ProtocolContext): Promise<PostAnswer> {
  try {
    const answer = await protocol.send(post, context)
    return isOfService(answer) ? { ...answer, spoken: protocol.name } : answer
  } catch (cause) {
    // A host's own protocol: what it throws is a failed attempt, not a bug of ours.
    const message = `the protocol ${protocol.name} failed`
    return unanswered(post, new TransportFault("connection_lost", "unknown", message, { cause }))
  }
}

/** A share that was created, a grant, or a refusal with a code. */
function isOfService({ created, grant }: PostAnswer): boolean {
  return [created, grant].some((answer) => answer?.kind === "value" || answer?.kind === "refused")
}

function unspokenStatus(answer: Answer<unknown>): number | undefined {
  if (answer.kind !== "fault" || answer.fault.code !== "http_status") return
  const { status, coded } = answer.fault.details
  return status !== undefined && !coded && unspoken_statuses.has(status) ? status : undefined
}
