/** Raw sockets at both ends of a fault proxy: they say what a test gives them, and remember what came and how it ended. */
import { connect, createServer, type AddressInfo } from "node:net"
import {
  openFaultProxy,
  type Ending,
  type FaultProxy,
  type FaultProxyOptions,
} from "../../src/testing/fault-proxy/index.ts"
import { nextTurn } from "../wire/attempt.ts"
import { http, rawServer, type RawServer } from "../wire/raw-server.ts"

export async function rawClient(port: number) {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  const ended = Promise.withResolvers<Ending>()
  let heard = ""
  let news = Promise.withResolvers<void>()
  socket.on("data", (piece) => {
    heard += piece.toString("latin1")
    news.resolve()
    news = Promise.withResolvers<void>()
  })
  socket.on("end", () => ended.resolve("fin"))
  socket.on("error", () => ended.resolve("rst"))
  await new Promise<void>((resolve) => socket.once("connect", resolve))
  return {
    get heard() {
      return heard
    },
    say: (text: string) => new Promise<void>((resolve) => void socket.write(text, () => resolve())),
    /** Resolves when it has heard this, to all that it heard. */
    async hears(text: string): Promise<string> {
      while (!heard.includes(text)) await news.promise
      return heard
    },
    /** How the other side ended. */
    ended: ended.promise,
    leave: (how: Ending = "fin") => (how === "fin" ? socket.end() : socket.resetAndDestroy()),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/** A whole request of that body. */
export function request(body: string, path = "/"): string {
  return `POST ${path} HTTP/1.1\r\nhost: service\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

/** Answers the request of number n, from 0, by `answer n`. */
export const answering = () => rawServer((n) => ({ text: http("200 OK", {}, `answer ${n}`), after: "hang" }))

export async function openBetween(service: RawServer, clock?: FaultProxyOptions["clock"]): Promise<FaultProxy> {
  return openFaultProxy({ to: new URL(service.url).origin, ...(clock && { clock }) })
}

/** A service that never answers, and says what it got and how its connection ended. */
export async function silentService() {
  const ended = Promise.withResolvers<[bytes: number, how: Ending]>()
  const server = createServer((socket) => {
    let bytes = 0
    socket.on("data", (piece) => (bytes += piece.length))
    socket.on("end", () => ended.resolve([bytes, "fin"]))
    socket.on("error", () => ended.resolve([bytes, "rst"]))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ended: ended.promise,
    [Symbol.dispose]: () => void server.close(),
  }
}

/** Enough turns for bytes to cross both sockets, when nothing is to come of it. */
export const calm = async () => void (await nextTurn())

/** What a reset looks like to a reader here: Bun 1.3.14 takes it for an end in order (1.4.5 does not). */
const reset: Ending = await resetAsSeenHere()

/** How an end of this kind looks to `ended` of the ends above. */
export function asSeen(by: Ending): Ending {
  return by === "rst" ? reset : by
}

async function resetAsSeenHere(): Promise<Ending> {
  const server = createServer((socket) => void socket.on("error", () => {}).on("data", () => socket.resetAndDestroy()))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  using client = await rawClient((server.address() as AddressInfo).port)
  await client.say("x")
  const ended = await client.ended
  server.close()
  return ended
}
