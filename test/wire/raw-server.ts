/** An HTTP server of a test's own, byte by byte: it says what the test gives it, to every request, and then what is asked. */
import type { Socket } from "bun"

export interface Said {
  /** Written once the whole request is there. */
  text: string
  /** Afterwards: `end` closes, `reset` resets, `hang` leaves the connection open. */
  after: "end" | "reset" | "hang"
}

export interface RawServer extends Disposable {
  url: string
  /** Requests as they arrived, whole. */
  requests: string[]
  /** Resolves when a whole request is there. */
  asked: Promise<void>
}

export function rawServer(said: Said): RawServer {
  const requests: string[] = []
  const asked = Promise.withResolvers<void>()
  const server = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "" }
      },
      data(socket, bytes) {
        socket.data.text += bytes.toString("utf8")
        if (!isWhole(socket.data.text)) return
        requests.push(socket.data.text)
        socket.data.text = ""
        asked.resolve()
        answer(socket, said)
      },
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/rpc/share`,
    requests,
    asked: asked.promise,
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
