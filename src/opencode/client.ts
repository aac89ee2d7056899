/**
 * What is asked of opencode itself, through the client that it hands to a plugin (its SDK, version 1): an in-process
 * fetch, also where no server listens. Its calls answer `{ data, error, response }` and throw only if the network does.
 *
 * Never awaited while a plugin is set up or a config hook runs: opencode answers only after that (measured: a deadlock).
 */
import { type BusEvent, isRecord } from "./event.ts"

interface Answer {
  data?: unknown
  error?: unknown
  response?: Response
}

type Call = (input?: object) => Promise<Answer>

/** The part of opencode's client that is used; whatever is missing there counts as failing. */
export interface OpencodeClient {
  session?: { get?: Call; messages?: Call; children?: Call; share?: Call; diff?: Call }
  config?: { providers?: Call }
  app?: { log?: Call }
  tui?: { showToast?: Call }
}

export interface SessionMessage {
  info: Record<string, unknown>
  parts: Record<string, unknown>[]
}

/** Messages per page: 3,000 in pages of 200 take opencode 90–230 ms, each page one turn of its loop (measured). */
const page_messages = 200

/** opencode did not answer, or not what is expected of it. */
export class OpencodeSilent extends Error {}

/** The session's info; undefined if opencode has no such session. @throws OpencodeSilent */
export async function sessionInfo(client: OpencodeClient, id: string): Promise<BusEvent["properties"] | undefined> {
  const answer = await asked(client.session?.get?.({ path: { id } }))
  if (answer.response?.status === 404) return
  if (!isRecord(answer.data)) throw new OpencodeSilent(`session.get: ${answer.response?.status}`)
  return answer.data
}

/** All messages of the session with their parts, oldest first, from pages that are read newest first. @throws OpencodeSilent */
export async function sessionMessages(client: OpencodeClient, id: string): Promise<SessionMessage[]> {
  const pages: SessionMessage[][] = []
  for (let before: string | undefined; ;) {
    const query = { limit: page_messages, ...(before !== undefined && { before }) }
    const { data, response } = await asked(client.session?.messages?.({ path: { id }, query }))
    if (!Array.isArray(data) || !data.every(isMessage))
      throw new OpencodeSilent(`session.messages: ${response?.status}`)
    pages.push(data)
    const next = response?.headers.get("x-next-cursor") ?? undefined
    // An opencode that does not page answers with all of them, and one that repeats itself would never end.
    if (next === undefined || next === before || data.length === 0) return pages.toReversed().flat()
    before = next
  }
}

/** Ids of the session's children; none if opencode cannot say. */
export async function sessionChildren(client: OpencodeClient, id: string): Promise<string[]> {
  const { data } = await asked(client.session?.children?.({ path: { id } })).catch((): Answer => ({}))
  return Array.isArray(data) ? data.flatMap((child) => (typeof child?.id === "string" ? [child.id as string] : [])) : []
}

/** The files that the session changed; undefined if opencode cannot say. */
export async function sessionDiff(client: OpencodeClient, id: string): Promise<unknown[] | undefined> {
  const { data } = await asked(client.session?.diff?.({ path: { id } })).catch((): Answer => ({}))
  return Array.isArray(data) ? data : undefined
}

/** Every model that is configured: provider → model → what opencode knows of it. */
export async function models(client: OpencodeClient): Promise<Map<string, Record<string, unknown>>> {
  const { data } = await asked(client.config?.providers?.()).catch((): Answer => ({}))
  const providers: unknown[] = isRecord(data) && Array.isArray(data.providers) ? data.providers : []
  return new Map(
    providers.flatMap((provider) =>
      isRecord(provider) && typeof provider.id === "string" && isRecord(provider.models)
        ? [[provider.id, provider.models] as const]
        : [],
    ),
  )
}

async function asked(answer: Promise<Answer> | undefined): Promise<Answer> {
  if (!answer) throw new OpencodeSilent("this opencode's client has no such call")
  return answer
}

function isMessage(value: unknown): value is SessionMessage {
  return isRecord(value) && isRecord(value.info) && Array.isArray(value.parts) && value.parts.every(isRecord)
}
