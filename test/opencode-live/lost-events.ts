/**
 * Bus events that never had an effect on a share: neither their state nor a later one of the same thing ever reached it,
 * or it still shows what they removed. States that a later one replaced on the way do not count.
 */
import { existsSync, readFileSync } from "node:fs"
import { canonical, type JsonObject } from "./json.ts"
import { itemKey } from "./legacy-service.ts"
import type { HeldShare } from "./service.ts"

export interface RecordedEvent {
  id: string
  type: string
  properties: JsonObject & { sessionID?: string; messageID?: string; partID?: string }
}

/** Of the recorder plugin. A last line that is still being written is left out. */
export function recordedEvents(file: string): RecordedEvent[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1)
  return lines.map((line) => (JSON.parse(line) as { event: RecordedEvent }).event)
}

export interface Lost {
  events: number
  /** Those of removals, too. */
  events_lost: number
  /** Removals of what is still shown. */
  removals_lost: number
}

interface State {
  at: number
  key: string
  text: string
}

export function lostEvents(events: readonly RecordedEvent[], session_id: string, share: HeldShare | undefined): Lost {
  const own = unique(events).filter((event) => sessionOf(event) === session_id)
  const states = own.flatMap((event, at): State[] => {
    const [type, state] = stateOf(event)
    return state ? [{ at, key: itemKey(type, state), text: canonical(state) }] : []
  })
  const reached = new Map<string, number>()
  for (const { at, key, text } of states) if (share?.stored.get(key)?.has(text)) reached.set(key, at)
  const removed = new Set(own.flatMap((event) => removedBy(event) ?? []))
  const lost = states.filter(({ at, key }) => at > (reached.get(key) ?? -1) && !isRemoved(key, removed))
  // Shown still, though it was removed and did not come back.
  const kept = [...removed].filter((key) => share?.items.has(key)).length
  return { events: states.length + kept, events_lost: lost.length + kept, removals_lost: kept }
}

/** Two plugins of one process, as at the end of `opencode run`, may both be told. */
function unique(events: readonly RecordedEvent[]): RecordedEvent[] {
  return [...new Map(events.map((event) => [event.id, event])).values()]
}

function sessionOf({ properties }: RecordedEvent): string | undefined {
  return properties.sessionID ?? (properties.info as { id?: string } | undefined)?.id
}

function stateOf({ type, properties }: RecordedEvent): [string, JsonObject | undefined] {
  if (type === "message.updated") return ["message", properties.info as JsonObject]
  if (type === "message.part.updated") return ["part", properties.part as JsonObject]
  return ["", undefined]
}

function removedBy({ type, properties: { messageID, partID } }: RecordedEvent): string | undefined {
  if (type === "message.removed") return `message/${messageID}`
  if (type === "message.part.removed") return `part/${messageID}/${partID}`
  return
}

function isRemoved(key: string, removed: ReadonlySet<string>): boolean {
  return removed.has(key) || removed.has(`message/${key.split("/")[1]}`)
}
