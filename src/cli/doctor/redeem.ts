/** One share redeemed as the flusher would, and what its answer means by the flusher's own verdict. */
import type { BlockReason } from "../../flusher/block.ts"
import type { Next } from "../../flusher/classify.ts"
import { judge, postFor } from "../../flusher/verdict.ts"
import { systemClock } from "../../intent/system.ts"
import type { StreamRow } from "../../store/stream.ts"
import type { GrantFacts } from "../../wire/contract.ts"
import { httpJson } from "../../wire/http-json.ts"
import { httpTransport } from "../../wire/http.ts"
import type { Post } from "../../wire/post.ts"
import { sendBy } from "../../wire/protocol.ts"
import { rpc } from "../../wire/session.ts"
import type { Transport } from "../../wire/transport.ts"

/** Those that redeem without making anything. */
const protocols = [rpc, httpJson]

export type Meaning =
  | { kind: "granted"; grant: GrantFacts }
  | { kind: "yet to be created" }
  | { kind: "untried"; why: string }
  /** The service has lost a share that was there. */
  | { kind: "lost"; message: string }
  | { kind: "blocked"; reason: BlockReason; message: string }
  | { kind: "unanswered"; code: string; message: string }

export interface Answered {
  stream: StreamRow
  meaning: Meaning
  /** Of the whole attempt. */
  ms: number
  /** In which the service answered. */
  protocol: string | undefined
  clock: { service_ms: number; ours_ms: number } | undefined
}

/** One after the other: a service that is slow is not hurried. */
export async function askService(
  streams: readonly StreamRow[],
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answered[]> {
  const answers: Answered[] = []
  for (const stream of streams) {
    const answered = await redeem(stream, headers, signal)
    answers.push(answered)
    // Whoever does not answer one does not answer the next.
    if (answered.meaning.kind === "unanswered") break
  }
  return answers
}

async function redeem(stream: StreamRow, headers: Record<string, string>, signal: AbortSignal): Promise<Answered> {
  const { protocol } = stream
  const untried = (why: string): Answered => ({
    stream,
    meaning: { kind: "untried", why },
    ms: 0,
    protocol: undefined,
    clock: undefined,
  })
  if (protocol === "rest")
    return untried("it speaks opencode's own REST, in which nothing can be asked without a change")
  if (protocol !== null && protocols.every(({ name }) => name !== protocol))
    return untried(`it speaks ${protocol}, which only its host knows`)
  let clock: Answered["clock"]
  const overHttp = httpTransport(systemClock)
  const transport: Transport = async (request) => {
    const response = await overHttp(request)
    const service_ms = Date.parse(response.date ?? "")
    if (!Number.isNaN(service_ms)) clock = { service_ms, ours_ms: Date.now() }
    return response
  }
  const post: Post = { ...postFor(redeemed(stream), headers), create: undefined, remove: false }
  const began = systemClock.monotonic()
  const answer = await sendBy(protocols, post, { transport, clock: systemClock, signal })
  const ms = systemClock.monotonic() - began
  // Without the block: whether it would stay is not asked, but what the service says.
  const asked = redeemed({ ...stream, block: null })
  const { next } = judge(asked, post, answer, { knowsOp: () => true, hasRetained: () => true })
  const grant = answer.grant.kind === "value" ? answer.grant.value : undefined
  return { stream, meaning: meaningOf(stream, next, grant), ms, protocol: answer.spoken, clock }
}

const redeemed = (stream: StreamRow) => ({ stream, batches: [], sealed: [] })

function meaningOf(stream: StreamRow, next: Next, grant: GrantFacts | undefined): Meaning {
  if (next.go === "on" && grant) return { kind: "granted", grant }
  if (next.go === "block") return { kind: "blocked", ...next.block }
  if (next.go !== "retry") return { kind: "yet to be created" }
  const { code, message } = next.fault
  if (code !== "share_unknown") return { kind: "unanswered", code, message }
  return stream.granted === 0 ? { kind: "yet to be created" } : { kind: "lost", message }
}
