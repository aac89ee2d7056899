/** What a service shows of the sessions, beside opencode's own final state. */
import type { FinalSession } from "./recording.ts"

export const itemTypes = ["session", "message", "part"] as const
export type ItemType = (typeof itemTypes)[number]

export interface Compared {
  of: Record<ItemType, number>
  /** There, and equal to opencode's. */
  right: Record<ItemType, number>
  missing: number
  /** There, but not as opencode has it. */
  stale: number
  /** There, and not in opencode any more. */
  ghosts: number
  doubled: number
}

type Items = Map<string, unknown>

export async function compare(
  finals: FinalSession[],
  service: string,
  share_id: (session_id: string) => string | undefined,
): Promise<Compared> {
  const found: Compared = { of: zero(), right: zero(), missing: 0, stale: 0, ghosts: 0, doubled: 0 }
  for (const final of finals) {
    const shown = await shownItems(service, share_id(final.info.id))
    found.doubled += shown.doubled
    addSession(found, itemsOf(final), shown.items)
  }
  return found
}

export function lostItems({ missing, stale, ghosts }: Compared): number {
  return missing + stale + ghosts
}

function addSession(found: Compared, wanted: Items, shown: Items): void {
  for (const [key, value] of wanted) {
    const type = key.split(" ")[0] as ItemType
    found.of[type] += 1
    if (!shown.has(key)) found.missing += 1
    else if (!Bun.deepEquals(shown.get(key), value, true)) found.stale += 1
    else found.right[type] += 1
  }
  for (const key of shown.keys()) if (!wanted.has(key)) found.ghosts += 1
}

function itemsOf({ info, messages }: FinalSession): Items {
  const items: Items = new Map([["session", withoutShare(info)]])
  for (const message of messages) {
    items.set(`message ${message.info.id}`, message.info)
    for (const part of message.parts) items.set(`part ${message.info.id} ${part.id}`, part)
  }
  return items
}

interface ShownItem {
  type: string
  data: { id: string; messageID?: string; [field: string]: unknown }
}

async function shownItems(service: string, share_id: string | undefined): Promise<{ items: Items; doubled: number }> {
  const items: Items = new Map()
  let doubled = 0
  const answer = share_id === undefined ? undefined : await fetch(`${service}/api/share/${share_id}/data`)
  for (const item of answer?.ok ? ((await answer.json()) as ShownItem[]) : []) {
    const key = keyOf(item)
    if (key === undefined) continue
    if (items.has(key)) doubled += 1
    items.set(key, item.type === "session" ? withoutShare(item.data) : item.data)
  }
  return { items, doubled }
}

/** Diffs and models are no part of the final state that opencode tells. */
function keyOf({ type, data }: ShownItem): string | undefined {
  if (type === "session") return "session"
  if (type === "message") return `message ${data.id}`
  return type === "part" ? `part ${data.messageID} ${data.id}` : undefined
}

/** The url of opencode's own share, which is not this one. */
function withoutShare(info: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([field]) => field !== "share"))
}

function zero(): Record<ItemType, number> {
  return { session: 0, message: 0, part: 0 }
}
