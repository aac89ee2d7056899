/**
 * The models that a session used, as its readers see them: the bus carries none. Which they are stands in the messages
 * of the user, what they are is asked of opencode. One op per provider, with all of its models that the session used.
 */
import type { Outbox, Stream } from "../index.ts"
import type { StateOp } from "./catch-up.ts"
import { isOpencodeId, isRecord } from "./event.ts"
import type { ModelName, SessionMessage, SessionSource } from "./session-source.ts"

export class SessionModels {
  constructor(readonly outbox: Outbox) {}

  /** True if the message names a model that the stream's readers do not know: a catch-up tells them. */
  isNew(stream: Stream, info: Record<string, unknown>): boolean {
    const name = nameIn(info)
    return name !== undefined && !this.#isTold(stream, name)
  }

  /**
   * The ops that tell of the models of the messages, as far as opencode knows them; none if all were told before, unless
   * `again`. Recorded, they are told: `told`.
   */
  async puts(
    stream: Stream,
    messages: readonly SessionMessage[],
    again: boolean,
    source: SessionSource,
  ): Promise<{ ops: StateOp[]; told: () => void }> {
    const names = new Map(messages.flatMap(({ info }) => named(nameIn(info))))
    if (!again && [...names.values()].every((name) => this.#isTold(stream, name))) return { ops: [], told: () => {} }
    const models = new Map<string, Record<string, unknown>[]>()
    for (const [, name] of [...names].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const model = await source.model(name)
      if (model) models.set(name.provider_id, [...(models.get(name.provider_id) ?? []), model])
    }
    return {
      ops: [...models].map(([provider_id, ofProvider]) => modelPut(provider_id, ofProvider)),
      // Also of a model that opencode does not know: it is not asked again.
      told: () => names.forEach((name) => this.#tell(stream, name)),
    }
  }

  #isTold(stream: Stream, name: ModelName): boolean {
    return this.outbox.bookmark(noteOf(stream, name)) !== undefined
  }

  #tell(stream: Stream, name: ModelName): void {
    this.outbox.unit(() => {}, { bookmark: { source: noteOf(stream, name), place: 1 } })
  }
}

function noteOf(stream: Stream, { provider_id, model_id }: ModelName): string {
  return `opencode/model/${stream.name}/${provider_id}/${model_id}`
}

function modelPut(provider_id: string, models: Record<string, unknown>[]): StateOp {
  return {
    method: "model.put",
    args: [{ provider_id, models }],
    key: `model/${provider_id}`,
    onlyIfChanged: true,
    dependsOnKeys: [],
  }
}

function named(name: ModelName | undefined): [string, ModelName][] {
  return name ? [[`${name.provider_id}/${name.model_id}`, name]] : []
}

function nameIn(info: Record<string, unknown>): ModelName | undefined {
  if (info.role !== "user" || !isRecord(info.model)) return
  const { providerID, modelID } = info.model
  return isOpencodeId(providerID) && typeof modelID === "string"
    ? { provider_id: providerID, model_id: modelID }
    : undefined
}
