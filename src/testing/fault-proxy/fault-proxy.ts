/** `openFaultProxy`: a TCP proxy before a service that speaks HTTP/1.1, which does to it what a network does. */
import { createServer, type AddressInfo, type Server } from "node:net"
import type { Clock } from "../../intent/seam.ts"
import { kindOf, shapeProblem } from "../../intent/shape.ts"
import { systemClock } from "../../intent/system.ts"
import { playConnection } from "./connection.ts"
import { PlayedExchange, type Exchange } from "./exchange.ts"
import { connectionFate, exchangeFate, type ConnectionFate, type Ending, type ExchangeFate } from "./fate.ts"
import { Peer } from "./peer.ts"

export interface FaultProxyOptions {
  /** Origin of the service, `http://host:port`. */
  to: string
  /** Counts the delays. @default the system's */
  clock?: Clock
}

/** Opens a proxy on a free port of 127.0.0.1. @throws TypeError if `to` is no http origin */
export async function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const problem = shapeProblem(options, ["to", "clock"])
  if (problem) throw new TypeError(`the options of openFaultProxy: the object ${problem}`)
  const proxy = new FaultProxy(originOf(options.to), options.clock ?? systemClock)
  await proxy.up()
  return proxy
}

/** Said to what waits when the proxy is disposed of. */
class ProxyClosed extends Error {}

export class FaultProxy implements AsyncDisposable {
  readonly #exchanges: Exchange[] = []
  #connections = 0
  readonly #clock: Clock
  readonly #to: URL
  #server: Server | undefined
  #port = 0
  #always: ExchangeFate = { fault: "none" }
  #alwaysConnection: ConnectionFate = { fault: "none" }
  readonly #next: ExchangeFate[] = []
  readonly #nextConnection: ConnectionFate[] = []
  readonly #clients = new Set<Peer>()
  readonly #services = new Set<Peer>()
  readonly #running = new Set<Promise<void>>()
  readonly #arrivals: PromiseWithResolvers<Exchange>[] = []
  readonly #closing = Promise.withResolvers<never>()
  readonly #failures: unknown[] = []
  #closed: Promise<void> | undefined

  /** Use `openFaultProxy`. */
  constructor(to: URL, clock: Clock) {
    this.#to = to
    this.#clock = clock
    this.#closing.promise.catch(() => {})
  }

  /** Origin, in the place of the service's. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  /** What came through, in the order in which the first bytes came. */
  get exchanges(): readonly Exchange[] {
    return this.#exchanges
  }

  /** Connections that were accepted. */
  get connections(): number {
    return this.#connections
  }

  /** Fates of the next exchanges, one each, in the order in which their first bytes come. @throws TypeError */
  next(...fates: ExchangeFate[]): void {
    this.#next.push(...fates.map(exchangeFate))
  }

  /** The fate of every exchange that has none of its own. @throws TypeError */
  always(fate: ExchangeFate): void {
    this.#always = exchangeFate(fate)
  }

  /** Fates of the next connections, one each. @throws TypeError */
  nextConnection(...fates: ConnectionFate[]): void {
    this.#nextConnection.push(...fates.map(connectionFate))
  }

  /** The fate of every connection that has none of its own. @throws TypeError */
  alwaysConnection(fate: ConnectionFate): void {
    this.#alwaysConnection = connectionFate(fate)
  }

  /** No fate is left, and from here on nothing happens to anybody. What is held stays held. */
  heal(): void {
    this.#next.length = 0
    this.#nextConnection.length = 0
    this.#always = { fault: "none" }
    this.#alwaysConnection = { fault: "none" }
  }

  /** Resolves to the exchange of this number, from 1, when its first bytes are here. @throws TypeError */
  async arrived(number: number): Promise<Exchange> {
    if (!Number.isSafeInteger(number) || number < 1)
      throw new TypeError(`exchanges are counted from 1, got ${typeof number === "number" ? number : kindOf(number)}`)
    return this.#arrival(number).promise
  }

  /** Ends every connection there is, as a gateway that restarts. @throws TypeError */
  cut(by: Ending): void {
    if (by !== "fin" && by !== "rst") throw new TypeError(`connections end by fin or rst, got ${kindOf(by)}`)
    for (const peer of [...this.#clients, ...this.#services]) peer.end(by)
  }

  /** From here on nobody listens on the port, and every connection is reset: to connect is refused by the system. */
  async down(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    const peers = [...this.#clients, ...this.#services]
    for (const peer of peers) peer.end("rst")
    await Promise.all([closed, ...peers.map((peer) => peer.closed)])
  }

  /** Listens again, on the same port. Rejects if another process took it meanwhile, or the proxy was disposed of. */
  async up(): Promise<void> {
    if (this.#closed) throw new ProxyClosed("the fault proxy is closed")
    if (this.#server) return
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(new Peer(socket)))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(this.#port, "127.0.0.1", resolve)
    })
    this.#port = (server.address() as AddressInfo).port
  }

  /** Resets every connection and gives up what is held or late. Rejects if the proxy itself failed meanwhile. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#closing.reject(new ProxyClosed("the fault proxy is closed"))
    await this.down()
    while (this.#running.size > 0) await Promise.all(this.#running)
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, "the fault proxy failed")
  }

  #accept(client: Peer): void {
    const connection = ++this.#connections
    keep(this.#clients, client)
    const playing = playConnection({
      client,
      fate: this.#nextConnection.shift() ?? this.#alwaysConnection,
      begin: () => this.#begin(connection),
      reach: () => this.#reach(),
      watch: (promise) => this.#watch(promise),
      delay: (ms) => this.#delay(ms),
      whileOpen: (promise) => this.#whileOpen(promise),
    })
    this.#watch(playing)
  }

  #begin(connection: number): PlayedExchange {
    const number = this.#exchanges.length + 1
    const exchange = new PlayedExchange(number, connection, this.#next.shift() ?? this.#always)
    this.#exchanges.push(exchange)
    this.#arrival(number).resolve(exchange)
    return exchange
  }

  async #reach(): Promise<Peer | undefined> {
    const service = await Peer.at(this.#to.hostname.replace(/^\[|\]$/g, ""), Number(this.#to.port || 80))
    if (!service) return
    keep(this.#services, service)
    if (!this.#closed) return service
    service.end("rst")
    return
  }

  #arrival(number: number): PromiseWithResolvers<Exchange> {
    return (this.#arrivals[number] ??= Promise.withResolvers<Exchange>())
  }

  async #delay(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.timer(ms, resolve, true)
    try {
      await this.#whileOpen(promise)
    } finally {
      timer.cancel()
    }
  }

  #whileOpen<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#closing.promise])
  }

  #watch(promise: Promise<void>): void {
    const watched = promise
      .catch((error: unknown) => {
        if (!(error instanceof ProxyClosed)) this.#failures.push(error)
      })
      .finally(() => this.#running.delete(watched))
    this.#running.add(watched)
  }
}

function keep(peers: Set<Peer>, peer: Peer): void {
  peers.add(peer)
  void peer.closed.then(() => peers.delete(peer))
}

function originOf(to: unknown): URL {
  const url = typeof to === "string" && URL.canParse(to) ? new URL(to) : undefined
  if (url?.protocol === "http:" && url.pathname === "/" && !url.search && !url.username && !url.hash) return url
  throw new TypeError("`to` must be the origin of a service, as http://127.0.0.1:8080: its path stays with the client")
}
