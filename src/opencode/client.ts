/**
 * opencode asked through the client that it hands to a plugin (its SDK, version 1): an in-process fetch, also where no
 * server listens. Its calls answer `{ data, error, response }` and throw only if the network does.
 *
 * Never awaited while a plugin is set up or a config hook runs: opencode answers only after that (measured: a deadlock).
 */
import { isRecord } from "./event.ts"
import { isMessage, type ModelName, type SessionMessage, type SessionSource, SourceSilent } from "./session-source.ts"

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

/** Messages per page: 3,000 in pages of 200 take opencode 90–230 ms, each page one turn of its loop (measured). */
const page_messages = 200

export class ClientSource implements SessionSource {
  readonly isAuthority = false

  constructor(readonly client: OpencodeClient) {}

  async info(id: string): Promise<Record<string, unknown> | undefined> {
    const { data, response } = await asked(this.client.session?.get?.({ path: { id } }))
    if (response?.status === 404) return
    if (!isRecord(data)) throw new SourceSilent(`session.get: ${response?.status}`)
    return data
  }

  /** From pages that are read newest first. */
  async messages(id: string): Promise<SessionMessage[]> {
    const pages: SessionMessage[][] = []
    const told = new Set<unknown>()
    for (let before: string | undefined; ;) {
      const query = { limit: page_messages, ...(before !== undefined && { before }) }
      const { data, response } = await asked(this.client.session?.messages?.({ path: { id }, query }))
      if (!Array.isArray(data) || !data.every(isMessage))
        throw new SourceSilent(`session.messages: ${response?.status}`)
      // Pages that repeat themselves would never end, and are no proof that the others are gone.
      if (data.some((message) => told.has(message.info.id))) throw new SourceSilent("session.messages: a page again")
      for (const { info } of data) told.add(info.id)
      pages.push(data)
      const next = response?.headers.get("x-next-cursor") ?? undefined
      // One that knows a limit, and no pages: what it does not tell would be taken for removed.
      if (next === undefined && before === undefined && data.length === page_messages) return this.#allMessages(id)
      if (next === undefined || data.length === 0) return pages.toReversed().flat()
      before = next
    }
  }

  async #allMessages(id: string): Promise<SessionMessage[]> {
    const { data, response } = await asked(this.client.session?.messages?.({ path: { id } }))
    if (Array.isArray(data) && data.every(isMessage)) return data
    throw new SourceSilent(`session.messages: ${response?.status}`)
  }

  async diff(id: string): Promise<unknown[] | undefined> {
    const { data } = await askedIfThere(this.client.session?.diff?.({ path: { id } }))
    return Array.isArray(data) ? data : undefined
  }

  async children(id: string): Promise<string[]> {
    const { data } = await askedIfThere(this.client.session?.children?.({ path: { id } }))
    return Array.isArray(data)
      ? data.flatMap((child) => (typeof child?.id === "string" ? [child.id as string] : []))
      : []
  }

  async model({ provider_id, model_id }: ModelName): Promise<Record<string, unknown> | undefined> {
    const { data } = await askedIfThere(this.client.config?.providers?.())
    const providers: unknown[] = isRecord(data) && Array.isArray(data.providers) ? data.providers : []
    const provider = providers.filter(isRecord).find(({ id }) => id === provider_id)
    const model = isRecord(provider?.models) ? provider.models[model_id] : undefined
    return isRecord(model) ? model : undefined
  }
}

async function asked(answer: Promise<Answer> | undefined): Promise<Answer> {
  if (!answer) throw new SourceSilent("this opencode's client has no such call")
  return answer
}

/** Of what is no part of the state that must be caught up: without an answer it is left out. */
async function askedIfThere(answer: Promise<Answer> | undefined): Promise<Answer> {
  return asked(answer).catch((): Answer => ({}))
}
