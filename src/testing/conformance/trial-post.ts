/** One POST of a trial, or as many requests as it has calls: each call with its text in short notation, and its answer once it was sent. */
import type { AppendBatch } from "../../wire/contract.ts"
import type { Notation } from "./notation.ts"
import { HttpPeer } from "./http-peer.ts"
import { type Answer, answerOf, type Peer, type RemoteShare, RpcPeer, type ShareMethod } from "./peer.ts"
import type { Bound, ShareRef } from "./service-subject.ts"

/** A call that was sent. Its answer is there once the POST was sent. */
export interface Sent {
  text: string
  batch?: AppendBatch
  /** The call that brought the capability for this one. */
  grant?: Sent
  answer: Answer
}

const unsent: Answer = { kind: "fault", message: "it was not sent" }

export class TrialPost {
  readonly calls: Sent[] = []
  readonly #peer: Peer
  readonly #notation: Notation
  readonly #service: Bound
  readonly #onOverdue: (message: string) => never
  readonly #answers: Promise<unknown>[] = []

  constructor(service: Bound, notation: Notation, onOverdue: (message: string) => never) {
    this.#service = service
    this.#peer = service.protocol === "http" ? new HttpPeer() : new RpcPeer()
    this.#notation = notation
    this.#onOverdue = onOverdue
  }

  create(input: unknown): Sent {
    return this.#call(`createShare ${this.#input(input)}`, this.#peer.remote.createShare(input))
  }

  redeem(input: ShareRef & { writer_id: unknown }): TrialGrant {
    const called = this.#peer.remote.redeemShare(input)
    const sent = this.#call(`redeemShare ${this.#input(input)}`, called.then(withoutStub))
    const onGrant: GrantCall = (text, call, batch) => this.#call(text, call, { grant: sent, ...(batch && { batch }) })
    return new TrialGrant(sent, called.share, this.#notation, onGrant)
  }

  /** What came back, as it came. */
  get received(): string {
    return this.#peer.received
  }

  /** Sends the calls in the order in which they were made. Whoever does not answer in time is not asked again. */
  async send(): Promise<void> {
    const { place, deadline_ms } = this.#service
    const fault = await this.#peer.send(place, deadline_ms)
    await Promise.all(this.#answers)
    if (fault?.code === "deadline") this.#onOverdue(fault.message)
  }

  #input(input: unknown): string {
    return JSON.stringify(input, (name, value: unknown) => shown(this.#notation, name, value)) ?? "undefined"
  }

  #call(text: string, call: PromiseLike<unknown>, of: Pick<Sent, "batch" | "grant"> = {}): Sent {
    const sent: Sent = { text, answer: unsent, ...of }
    this.#answers.push(answerOf(call).then((answer) => (sent.answer = answer)))
    this.calls.push(sent)
    return sent
  }
}

type GrantCall = (text: string, call: PromiseLike<unknown>, batch?: AppendBatch) => Sent

export class TrialGrant {
  readonly sent: Sent
  readonly #share: RemoteShare
  readonly #notation: Notation
  readonly #call: GrantCall

  constructor(sent: Sent, share: RemoteShare, notation: Notation, call: GrantCall) {
    this.sent = sent
    this.#share = share
    this.#notation = notation
    this.#call = call
  }

  /** `what` tells of the batch what the notation does not show, e.g. a size. */
  append(batch: AppendBatch, what?: string): Sent {
    const text = `appendOps ${what === undefined ? "" : `with ${what}: `}${this.#notation.batch(batch)}`
    return this.#call(text, this.#share.appendOps(batch), batch)
  }

  call(method: Exclude<ShareMethod, "appendOps">, input?: unknown): Sent {
    const text = JSON.stringify(input, (name, value: unknown) => shown(this.#notation, name, value)) ?? ""
    return this.#call(
      `${method} ${text}`.trim(),
      input === undefined ? this.#share[method]() : this.#share[method](input),
    )
  }
}

/** Secrets are shown by number: what is printed when a check fails may end in a public log. */
function shown(notation: Notation, name: string, value: unknown): unknown {
  if (typeof value !== "string" || value.length < 16) return value
  if (name === "secret") return notation.id("secret ", value)
  if (name === "share_id") return notation.id("s", value)
  return name === "writer_id" ? notation.id("w", value) : value
}

/** A grant as plain data: what is done with a stub after its POST goes nowhere. */
function withoutStub(grant: unknown): unknown {
  if (typeof grant !== "object" || grant === null) return grant
  const { share: _, ...facts } = grant as { share?: unknown }
  return facts
}
