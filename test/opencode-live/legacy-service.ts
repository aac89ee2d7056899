/** opencode's own share service, as its built-in client speaks to it: create, sync, delete, and what a share holds. */
import type { HeldShare, InnerService } from "./service.ts"
import { canonical, type Json, type JsonObject } from "./json.ts"

interface Item {
  type: string
  /** A list for the types that this trial does not compare. */
  data: JsonObject
}

interface LegacyShare extends HeldShare {
  secret: string
}

interface Body {
  sessionID?: string
  secret?: string
  data?: Item[]
}

export function openLegacyService(): InnerService {
  const shares = new Map<string, LegacyShare>()
  let changes = 0
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer })

  async function answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname
    const [, , , id, verb] = path.split("/")
    const body = await bodyOf(request)
    if (request.method === "POST" && path === "/api/share") return Response.json(create(body.sessionID ?? ""))
    const share = shares.get(id ?? "")
    if (!share || !path.startsWith("/api/share/")) return failure(404, "no such share")
    if (request.method === "GET") return share.open ? Response.json(listOf(share)) : failure(410, "removed")
    if (body.secret !== share.secret) return failure(403, "wrong secret")
    if (!share.open) return failure(410, "removed")
    changes++
    if (request.method === "DELETE") share.open = false
    else if (verb === "sync") for (const item of body.data ?? []) store(share, item)
    return Response.json({})
  }

  function create(session_id: string) {
    changes++
    const share_id = `shr${shares.size + 1}`
    const secret = crypto.randomUUID()
    const held = { items: new Map<string, Json>(), stored: new Map<string, Set<string>>() }
    shares.set(share_id, { share_id, session_id, secret, open: true, ...held })
    return { id: share_id, url: `${server.url.origin}/s/${share_id}`, secret }
  }

  return {
    url: server.url.origin,
    get changes() {
      return changes
    },
    shares: async () => [...shares.values()],
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

function store(share: LegacyShare, { type, data }: Item): void {
  const key = itemKey(type, data)
  share.items.set(key, data)
  share.stored.set(key, (share.stored.get(key) ?? new Set()).add(canonical(data)))
}

/** `message/<id>`, `part/<message id>/<id>`; there is one of each other type. */
export function itemKey(type: string, item: JsonObject): string {
  if (type === "message") return `message/${String(item.id)}`
  if (type === "part") return `part/${String(item.messageID)}/${String(item.id)}`
  return type
}

function listOf(share: LegacyShare): Item[] {
  return [...share.items].map(([key, data]) => ({ type: key.split("/")[0]!, data: data as JsonObject }))
}

async function bodyOf(request: Request): Promise<Body> {
  const text = await request.text()
  return text ? (JSON.parse(text) as Body) : {}
}

function failure(status: number, message: string): Response {
  return Response.json({ error: message }, { status })
}
