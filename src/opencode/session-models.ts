/**
 * The models that a session used, as its readers see them: the bus carries none. Which they are stands in the messages
 * of the user, what they are is asked of opencode. One op per provider, with all of its models that the session used.
 */
import type { Outbox, Stream } from "../index.ts"
import type { StateOp } from "./catch-up.ts"
import { models, type OpencodeClient, type SessionMessage } from "./client.ts"
import { isOpencodeId, isRecord } from "./event.ts"

export class SessionModels {
  constructor(
    readonly outbox: Outbox,
    readonly client: () => OpencodeClient | undefined,
    readonly record: (session_id: string, op: StateOp) => void,
  ) {}

  /** True if the message names a model that the stream's readers do not know: a catch-up tells them. */
  isNew(stream: Stream, info: Record<string, unknown>): boolean {
    const name = nameIn(info)
    return name !== undefined && this.outbox.bookmark(sourceOf(stream, name)) === undefined
  }

  /** Records the models of the messages, as far as opencode knows them. `again`: also those that were told before. */
  async learn(stream: Stream, session_id: string, messages: readonly SessionMessage[], again: boolean): Promise<void> {
    const names = new Set(messages.flatMap(({ info }) => nameIn(info) ?? []))
    const client = this.client()
    if (!client || (!again && [...names].every((name) => this.outbox.bookmark(sourceOf(stream, name))))) return
    for (const [provider_id, ofProvider] of await models(client)) {
      const used = Object.keys(ofProvider).filter((id) => names.has(`${provider_id}/${id}`))
      if (used.length === 0 || !isOpencodeId(provider_id)) continue
      this.record(
        session_id,
        modelPut(
          provider_id,
          used.toSorted().map((id) => ofProvider[id]),
        ),
      )
    }
    // Of a model that opencode does not know there is nothing to tell: it is not asked again.
    for (const name of names) this.outbox.unit(() => {}, { bookmark: { source: sourceOf(stream, name), place: 1 } })
  }
}

function sourceOf(stream: Stream, name: string): string {
  return `opencode/model/${stream.name}/${name}`
}

function modelPut(provider_id: string, ofProvider: unknown[]): StateOp {
  return {
    method: "model.put",
    args: [{ provider_id, models: ofProvider }],
    key: `model/${provider_id}`,
    onlyIfChanged: true,
    dependsOnKeys: [],
  }
}

/** "provider/model" of a message of the user. */
function nameIn(info: Record<string, unknown>): string | undefined {
  if (info.role !== "user" || !isRecord(info.model)) return
  const { providerID, modelID } = info.model
  return typeof providerID === "string" && typeof modelID === "string" ? `${providerID}/${modelID}` : undefined
}
