/** What the fault proxy knows of one exchange while it goes on and afterwards, and what a test can wait for. */
import type { ExchangeFate } from "./fate.ts"

/** A request or a response on its way through the proxy. */
export interface Passage {
  /** Its first line, once its head is there: `POST /rpc/share HTTP/1.1`, `HTTP/1.1 200 OK`. */
  startLine: string | undefined
  /** Bytes that came from its sender. */
  received: number
  /** Bytes that went to its receiver, those of a copy and of a gateway's own answer too. */
  passed: number
  /** Its sender has sent all of it. */
  whole: boolean
}

export interface Exchange {
  /** From 1, in the order in which the first bytes came. */
  readonly number: number
  /** Of the connection that it came on, from 1. */
  readonly connection: number
  readonly fate: ExchangeFate
  readonly request: Readonly<Passage>
  readonly response: Readonly<Passage>
  /** How often the service was given the whole request, as the client sent it. */
  readonly delivered: number
  /** Resolves when what its fate holds (`hold_…`, or the second of `duplicate_request`) waits for `release()`. */
  readonly held: Promise<void>
  /** Resolves when nothing more happens to it. */
  readonly ended: Promise<void>
  /** Lets go what its fate holds, also beforehand. @throws TypeError if its fate holds nothing */
  release(): void
}

export class PlayedExchange implements Exchange {
  readonly request: Passage = { startLine: undefined, received: 0, passed: 0, whole: false }
  readonly response: Passage = { startLine: undefined, received: 0, passed: 0, whole: false }
  delivered = 0
  readonly #held = Promise.withResolvers<void>()
  readonly #released = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()

  constructor(
    readonly number: number,
    readonly connection: number,
    readonly fate: ExchangeFate,
  ) {}

  get held(): Promise<void> {
    return this.#held.promise
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  release(): void {
    const { fault } = this.fate
    const holds = fault === "hold_request" || fault === "hold_response" || this.#holdsCopy
    if (!holds) throw new TypeError(`exchange ${this.number} holds nothing: its fate is ${fault}`)
    this.#released.resolve()
  }

  /** Says that it holds something; resolves when that may go on. */
  hold(): Promise<void> {
    this.#held.resolve()
    return this.#released.promise
  }

  end(): void {
    this.#ended.resolve()
  }

  get #holdsCopy(): boolean {
    return this.fate.fault === "duplicate_request" && this.fate.second === "released"
  }
}
