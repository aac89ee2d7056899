/** A stand-in for opencode's own share service: its routes, on a real socket, with faults that a test asks for. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface LegacyShare {
  session_id: string
  secret: string
  /** By type and id, the last state. */
  items: Map<string, unknown>
  removed: boolean
}

/** What becomes of the next request: its status alone, its effect without an answer, or neither; a gateway's own 404. */
export type LegacyFault = number | "lost" | "cut" | "page" | "nowhere"

interface Body {
  sessionID?: string
  secret?: string
  data?: Item[]
}

interface Item {
  type: string
  data: { id?: string; messageID?: string }
}

export async function openLegacyServer() {
  const shares = new Map<string, LegacyShare>()
  /** `POST /api/share`, in the order of arrival. */
  const requests: string[] = []
  const faults: LegacyFault[] = []
  /** Requests that were there at one time. */
  let together = 0
  let most = 0
  const held = Promise.withResolvers<void>()
  let gate: Promise<void> | undefined

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request
    requests.push(`${method} ${url}`)
    most = Math.max(most, ++together)
    const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
    const body = bodyOf(Buffer.concat(chunks).toString())
    if (gate && url.endsWith("/sync")) {
      held.resolve()
      await gate
    }
    const fault = faults.shift()
    const [status, answered] =
      typeof fault === "number" ? [fault, { error: "scripted" }] : said(fault, method, url, body)
    together -= 1
    if (fault === "cut" || fault === "lost") return void request.socket.destroy()
    if (fault === "nowhere") return void response.writeHead(404, { "content-type": "text/plain" }).end("no route")
    const isPage = fault === "page"
    response.writeHead(status, { "content-type": isPage ? "text/html" : "application/json" })
    response.end(isPage ? "<html>" : JSON.stringify(answered))
  }

  function said(fault: LegacyFault | undefined, method: string, path: string, body: Body): [number, object] {
    return fault === "cut" || fault === "page" || fault === "nowhere" ? [200, {}] : route(method, path, body)
  }

  function route(method: string, path: string, body: Body): [status: number, answer: object] {
    if (method === "POST" && path === "/api/share" && body.sessionID) {
      const id = `shr${shares.size + 1}`
      const secret = crypto.randomUUID()
      shares.set(id, { session_id: body.sessionID, secret, items: new Map(), removed: false })
      return [200, { id, url: `${origin()}/share/${id}`, secret }]
    }
    const [, id, verb] = /^\/api\/share\/([^/]+)(\/sync)?$/.exec(path) ?? []
    const share = shares.get(id ?? "")
    if (!share || share.removed) return [404, { error: "not found" }]
    if (body.secret !== share.secret) return [403, { error: "bad secret" }]
    if (method === "DELETE") share.removed = true
    else if (verb) for (const item of body.data!) share.items.set(keyOf(item), item.data)
    return [200, {}]
  }

  const server = createServer((request, response) => void answer(request, response))
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen(0)
  const { port } = server.address() as AddressInfo
  const origin = () => `http://127.0.0.1:${port}`
  return {
    shares,
    requests,
    faults,
    get most() {
      return most
    },
    get service() {
      return `${origin()}/rpc/share`
    },
    get origin() {
      return origin()
    },
    /** Of the only share. */
    get items() {
      return Object.fromEntries([...shares.values()][0]!.items)
    },
    /** Syncs wait for it; resolves when one does. */
    hold(until: Promise<void>): Promise<void> {
      gate = until
      return held.promise
    },
    down: close,
    up: () => listen(port),
    async [Symbol.asyncDispose]() {
      if (server.listening) await close()
    },
  }
}

function bodyOf(text: string): Body {
  try {
    return JSON.parse(text) as Body
  } catch {
    return {}
  }
}

function keyOf({ type, data }: Item): string {
  if (type === "message") return `message/${data.id}`
  return type === "part" ? `part/${data.messageID}/${data.id}` : type
}
