/** An HTTP server of a test's own, byte by byte: it says what the test gives it, to every request, and then what is asked. */
import type { Socket } from "bun"
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface Said {
  /** Written once the whole request is there. */
  text: string | Uint8Array
  /** Afterwards: `end` closes, `reset` resets, `hang` leaves the connection open. */
  after: "end" | "reset" | "hang"
}

export interface RawServer extends Disposable {
  url: string
  port: number
  /** Requests as they arrived, whole. */
  requests: string[]
  /** Bytes that came in all, also of requests that never became whole. */
  readonly bytes: number
  /** Connections that were opened; with TLS, whose handshake was made. */
  readonly connections: number
  /** Resolves when a whole request is there. */
  asked: Promise<void>
  /** Resolves when the client has closed a connection. */
  left: Promise<void>
  /** Says more on the connection that came first. */
  say(text: string): void
  /** Closes that connection, or resets it. */
  drop(how: "end" | "reset"): void
}

const fixture = (name: string) => readFileSync(join(import.meta.dir, "../fixture/tls", name), "utf8")
/** For `localhost` and 127.0.0.1, signed by nobody but itself; made by openssl, valid for a hundred years. */
export const certificate = fixture("cert.pem")
/** The same, valid for a day of 2020. */
export const expired = fixture("expired.pem")

/** `said` may differ by request, counted from 0. `tls`: a certificate to show. */
export function rawServer(
  said: Said | ((index: number) => Said),
  options: { tls?: string; hostname?: string } = {},
): RawServer {
  const requests: string[] = []
  const asked = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const { tls, hostname = "127.0.0.1" } = options
  let connections = 0
  let bytes = 0
  let first: Socket<{ text: string }> | undefined
  const server = Bun.listen<{ text: string }>({
    hostname,
    port: 0,
    ...(tls && { tls: { cert: tls, key: fixture("key.pem") } }),
    socket: {
      open(socket) {
        socket.data = { text: "" }
        first ??= socket
        if (!tls) connections += 1
      },
      handshake(_, success) {
        if (success) connections += 1
      },
      data(socket, piece) {
        bytes += piece.length
        socket.data.text += piece.toString("utf8")
        if (!isWhole(socket.data.text)) return
        requests.push(socket.data.text)
        socket.data.text = ""
        asked.resolve()
        answer(socket, typeof said === "function" ? said(requests.length - 1) : said)
      },
      close: () => left.resolve(),
      error: () => left.resolve(),
    },
  })
  return {
    url: `${tls ? "https" : "http"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${server.port}/rpc/share`,
    port: server.port,
    requests,
    get bytes() {
      return bytes
    },
    get connections() {
      return connections
    },
    asked: asked.promise,
    left: left.promise,
    say: (text) => void first?.write(text),
    drop: (how) => void (how === "end" ? first?.end() : first?.terminate()),
    [Symbol.dispose]: () => server.stop(true),
  }
}

function answer(socket: Socket<{ text: string }>, { text, after }: Said): void {
  if (text) socket.write(text)
  if (after === "end") socket.end()
  if (after === "reset") socket.terminate()
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n")
  if (end < 0) return false
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))
  return Buffer.byteLength(text.slice(end + 4)) >= Number(length?.[1] ?? 0)
}

/** The answer of a server that means well. */
export function http(status: string, headers: Record<string, string | number>, body = ""): string {
  const lines = Object.entries({ "content-length": Buffer.byteLength(body), ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  return `HTTP/1.1 ${status}\r\n${lines.join("\r\n")}\r\n\r\n${body}`
}
