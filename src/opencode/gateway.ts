/**
 * A share service on loopback, for opencode's own share client: it is told to share here (`config.enterprise.url`), so
 * that share and unshare, from wherever a person asks for them, become intents in the outbox. What that client sends of
 * its own accord is answered and not looked at: the bus is the source.
 *
 * The path begins with a key that other programs of this machine, and web pages, cannot guess.
 */
import type { Random } from "../intent/seam.ts"
import { randomId } from "../intent/ulid.ts"
import { isOpencodeId, isRecord } from "./event.ts"

/** What opencode stores, and shows: what a share service of its own would answer. */
export interface ShareInfo {
  id: string
  url: string
  secret: string
}

/** Whoever shares for one directory of opencode. */
export interface GatewayHost {
  /** Rejects if the session cannot be shared now. */
  create(session_id: string): Promise<ShareInfo>
  /** The secret as opencode has it. Throws if the wish could not be written down. */
  removeShare(id: string, secret: string | undefined): void
  /** A request that failed: opencode tells its caller no more than that. */
  failed(error: unknown): void
}

export interface Gateway {
  /** Base of the URLs that opencode's client asks. The host is looked up for each request. */
  urlFor(place: string): string
}

/** @throws what the system throws if no port can be had. */
export function openGateway(hostAt: (place: string) => GatewayHost | undefined, random: Random): Gateway {
  const key = randomId(random, 128)
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // A create may wait for a service that is slow.
    idleTimeout: 60,
    fetch: async (request) => {
      const [, given, place, rest] = route.exec(new URL(request.url).pathname) ?? []
      const host = given === key && place !== undefined ? hostAt(place) : undefined
      if (!host) return new Response(null, { status: 404 })
      try {
        return await answer(host, request, rest)
      } catch (error) {
        host.failed(error)
        return new Response(null, { status: 503 })
      }
    },
    error: () => new Response(null, { status: 500 }),
  })
  server.unref()
  const origin = `http://127.0.0.1:${server.port}`
  return { urlFor: (place) => `${origin}/${key}/${place}` }
}

/** The address of a gateway, of this process or of another: never a service at which anything could be shared. */
export function isGatewayUrl(url: unknown): url is string {
  return typeof url === "string" && /^http:\/\/127\.0\.0\.1:\d+\/[A-Za-z0-9_-]{22}\/\d+\/?$/.test(url)
}

/** Key, place, and what follows the API's path: opencode puts the id of a share there as it is, slashes and all. */
const route = /^\/([^/]+)\/(\d+)\/api\/share(?:\/(.+))?$/

async function answer(host: GatewayHost, request: Request, rest: string | undefined): Promise<Response> {
  if (request.method === "POST" && rest?.endsWith("/sync")) return Response.json({})
  const body: unknown = await request.json().catch(() => undefined)
  const { sessionID, secret } = isRecord(body) ? body : {}
  if (request.method === "POST" && rest === undefined)
    return isOpencodeId(sessionID) ? Response.json(await host.create(sessionID)) : new Response(null, { status: 400 })
  if (request.method === "DELETE" && rest !== undefined) {
    host.removeShare(decoded(rest), typeof secret === "string" ? secret : undefined)
    return Response.json({})
  }
  return new Response(null, { status: 404 })
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * Bun's fetch, with which opencode asks, goes through HTTP_PROXY to loopback too, unless told not to; it reads this at
 * each call, no_proxy first, and NO_PROXY only if that is empty (measured). So none is set beside one that is there: it
 * would take the place of what the user excepts.
 */
export function exceptLoopbackFromProxies(env: Record<string, string | undefined>): void {
  const set = ["no_proxy", "NO_PROXY"].filter((name) => env[name])
  for (const name of set.length > 0 ? set : ["NO_PROXY"]) {
    const there = (env[name] ?? "").split(",").flatMap((entry) => entry.trim() || [])
    if (there.includes("*")) continue
    const missing = ["127.0.0.1", "localhost"].filter((host) => !there.includes(host))
    if (missing.length > 0) env[name] = [...there, ...missing].join(",")
  }
}
