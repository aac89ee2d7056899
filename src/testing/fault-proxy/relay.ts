/** Plays one exchange between a client and the service, as its fate wants it. */
import type { PlayedExchange, Passage } from "./exchange.ts"
import type { Ending } from "./fate.ts"
import { MessageScanner, response, truncated } from "./message.ts"
import type { Peer } from "./peer.ts"

/** What an exchange has around it. */
export interface Line {
  readonly client: Peer
  /** The service at the other end of this connection; undefined if nobody is there. */
  service(): Promise<Peer | undefined>
  /** The service on a connection of its own. */
  serviceBeside(): Promise<Peer | undefined>
  /** Rejects when the proxy closes. */
  delay(ms: number): Promise<void>
  /** The same promise, or a rejection when the proxy closes first. */
  whileOpen<T>(promise: Promise<T>): Promise<T>
}

interface Manner {
  /** Bytes that pass; then no more is read. */
  at_most?: number
  throttle?: { bytes: number; every_ms: number }
}

const portal = "<!doctype html>\n<html><body>Please log in</body></html>"

export class Relay {
  /** What goes on beside later exchanges of the connection. */
  rest: Promise<void> = Promise.resolve()

  constructor(
    readonly exchange: PlayedExchange,
    readonly line: Line,
  ) {}

  /** Resolves when the connection is free for what comes next, if it is still there. */
  async play(): Promise<void> {
    const { exchange, line } = this
    const { fate } = exchange
    switch (fate.fault) {
      case "none":
      case "throttle_request":
      case "throttle_response":
        return this.#passBoth(mannerOf(fate, "throttle_request"), mannerOf(fate, "throttle_response"))
      case "drop_request":
        await this.#collectRequest()
        return
      case "delay_request":
      case "hold_request": {
        const { bytes } = await this.#collectRequest()
        await (fate.fault === "hold_request" ? line.whileOpen(exchange.hold()) : line.delay(fate.delay_ms))
        return this.#deliver(bytes)
      }
      case "truncate_request": {
        const { bytes, scanner } = await this.#collectRequest()
        return this.#deliver(scanner.whole ? truncated(bytes, scanner, fate.bytes) : bytes, false)
      }
      case "duplicate_request":
        return this.#deliverTwice(fate.second ?? "after")
      case "cut_request": {
        const service = await this.#reach()
        if (!service) return
        await this.#passRequest(service, { at_most: fate.at })
        return this.#cut(service, fate.by)
      }
      case "status": {
        const retry: Record<string, string> =
          fate.retry_after === undefined ? {} : { "retry-after": String(fate.retry_after) }
        return this.#answerInstead(response(fate.status, retry), fate.forwarded ?? false)
      }
      case "redirect":
        return this.#answerInstead(response(fate.status ?? 307, { location: fate.location }), false)
      case "page":
        return this.#answerInstead(response(200, { "content-type": "text/html" }, portal), false)
      default:
        return this.#passRequestAndHoldAnswer()
    }
  }

  /** As if no proxy were there: what either side does, the other one sees. */
  async #passBoth(request: Manner, answer: Manner): Promise<void> {
    const service = await this.#reach()
    if (!service) return
    const { client } = this.line
    let passing = true
    void client.left().then((how) => {
      if (!passing) return
      if (how === "rst") service.end("rst")
      else service.finish()
    })
    await Promise.all([this.#passRequest(service, request), this.#passAnswer(service, answer)])
    passing = false
  }

  async #passRequestAndHoldAnswer(): Promise<void> {
    const service = await this.#reach()
    if (!service) return
    await Promise.all([this.#passRequest(service), this.#answer(service)])
  }

  async #answer(service: Peer): Promise<void> {
    const { exchange, line } = this
    const { fate } = exchange
    const { bytes, scanner } = await this.#collectAnswer(service)
    if (fate.fault === "drop_response") return
    if (fate.fault === "cut_response") {
      await this.#write(line.client, exchange.response, bytes.subarray(0, fate.at))
      return this.#cut(service, fate.by)
    }
    if (fate.fault === "delay_response") await line.delay(fate.delay_ms)
    if (fate.fault === "hold_response") await line.whileOpen(exchange.hold())
    const whole = fate.fault === "truncate_response" && scanner.whole ? truncated(bytes, scanner, fate.bytes) : bytes
    await this.#write(line.client, exchange.response, whole)
    if (fate.fault === "duplicate_response") await this.#write(line.client, exchange.response, whole)
    if (!exchange.response.whole) this.#mirrorEnd(service)
  }

  /** A request that the proxy has, whoever is still there to hear the answer. */
  async #deliver(bytes: Buffer, asItWas = true): Promise<void> {
    const service = await this.#reach()
    if (!service) return
    await this.#hand(service, bytes, asItWas)
    await this.#passAnswer(service, {})
  }

  async #deliverTwice(second: "together" | "after" | "released"): Promise<void> {
    const { exchange, line } = this
    const { bytes } = await this.#collectRequest()
    const again = async () => {
      if (second === "released") await line.whileOpen(exchange.hold())
      const service = await line.serviceBeside()
      if (!service) return
      await this.#hand(service, bytes, true)
      const scanner = this.#answerScanner()
      for (let piece: Buffer | null; !scanner.whole && (piece = await service.read());) scanner.take(piece)
      service.end("fin")
    }
    if (second === "after") {
      await this.#deliver(bytes)
      return again()
    }
    this.rest = again()
    // Whoever waits for it hears of it; until somebody does, it is no unhandled rejection.
    this.rest.catch(() => {})
    await this.#deliver(bytes)
    if (second === "together") await this.rest
  }

  async #answerInstead(answer: Buffer, forwarded: boolean): Promise<void> {
    const { bytes } = await this.#collectRequest()
    if (forwarded) {
      const service = await this.#reach()
      if (!service) return
      await this.#hand(service, bytes, true)
      await this.#collectAnswer(service)
    }
    await this.#write(this.line.client, this.exchange.response, answer)
  }

  async #hand(service: Peer, bytes: Buffer, asItWas: boolean): Promise<void> {
    const { request } = this.exchange
    const written = await this.#write(service, request, bytes)
    if (!request.whole) return service.finish()
    if (written && asItWas) this.exchange.delivered += 1
  }

  async #passRequest(service: Peer, manner: Manner = {}): Promise<void> {
    const { exchange, line } = this
    const { request } = exchange
    await this.#pass(line.client, service, request, new MessageScanner("request"), manner)
    if (request.whole && request.passed === request.received) exchange.delivered += 1
  }

  async #passAnswer(service: Peer, manner: Manner): Promise<void> {
    const { exchange, line } = this
    await this.#pass(service, line.client, exchange.response, this.#answerScanner(), manner)
    if (!exchange.response.whole) this.#mirrorEnd(service)
  }

  async #collectRequest(): Promise<{ bytes: Buffer; scanner: MessageScanner }> {
    return this.#collect(this.line.client, this.exchange.request, new MessageScanner("request"))
  }

  async #collectAnswer(service: Peer): Promise<{ bytes: Buffer; scanner: MessageScanner }> {
    return this.#collect(service, this.exchange.response, this.#answerScanner())
  }

  #answerScanner(): MessageScanner {
    return new MessageScanner("response", this.exchange.request.startLine?.startsWith("HEAD "))
  }

  async #collect(from: Peer, passage: Passage, scanner: MessageScanner) {
    const pieces: Buffer[] = []
    for (let piece: Buffer | undefined; (piece = await this.#read(from, passage, scanner));) pieces.push(piece)
    return { bytes: Buffer.concat(pieces), scanner }
  }

  async #pass(from: Peer, to: Peer, passage: Passage, scanner: MessageScanner, manner: Manner): Promise<void> {
    const { at_most = Infinity, throttle } = manner
    while (passage.passed < at_most) {
      const piece = await this.#read(from, passage, scanner)
      if (!piece) return
      const part = piece.subarray(0, at_most - passage.passed)
      const step = throttle?.bytes ?? part.length
      for (let at = 0; at < part.length; at += step) {
        if (throttle) await this.line.delay(throttle.every_ms)
        await this.#write(to, passage, part.subarray(at, at + step))
      }
    }
  }

  /** The next bytes of the message; undefined if it is over, or its sender has ended. */
  async #read(from: Peer, passage: Passage, scanner: MessageScanner): Promise<Buffer | undefined> {
    if (scanner.whole) return
    const piece = await from.read()
    if (piece === null) scanner.end()
    const used = piece === null ? 0 : scanner.take(piece)
    if (piece !== null) from.unread(piece.subarray(used))
    passage.received += used
    passage.startLine = scanner.startLine
    passage.whole = scanner.whole
    return piece?.subarray(0, used)
  }

  async #write(to: Peer, passage: Passage, bytes: Buffer): Promise<boolean> {
    const written = await to.write(bytes)
    if (written) passage.passed += bytes.length
    return written
  }

  /** The service; without one the client's connection breaks, as its own would have. */
  async #reach(): Promise<Peer | undefined> {
    const service = await this.line.service()
    if (!service) this.line.client.end("rst")
    return service
  }

  #mirrorEnd(service: Peer): void {
    this.line.client.end(service.ended ?? "fin")
  }

  #cut(service: Peer, by: Ending): void {
    service.end(by)
    this.line.client.end(by)
  }
}

function mannerOf(fate: PlayedExchange["fate"], fault: "throttle_request" | "throttle_response"): Manner {
  return fate.fault === fault ? { throttle: { bytes: fate.bytes, every_ms: fate.every_ms ?? 1 } } : {}
}
