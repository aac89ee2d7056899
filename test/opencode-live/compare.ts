/** What opencode itself holds of a session against what its share shows. */
import type { Part, SessionState } from "./client.ts"
import { canonical, type Json, type JsonObject } from "./json.ts"
import { itemKey } from "./legacy-service.ts"
import type { HeldShare } from "./service.ts"

export interface Difference {
  messages: number
  messages_missing: number
  messages_stale: number
  parts: number
  parts_missing: number
  parts_stale: number
  /** Shown, and not there any more. */
  messages_ghost: number
  parts_ghost: number
  sessions_stale: number
  /** Of text and of the output of tools. */
  characters_missing: number
  /** Turns that are over, and are shown as going on. */
  turns_dangling: number
  /** The first few, for whoever looks for the reason. */
  examples: string[]
}

const examples_max = 6

export function noDifference(): Difference {
  return {
    messages: 0,
    messages_missing: 0,
    messages_stale: 0,
    parts: 0,
    parts_missing: 0,
    parts_stale: 0,
    messages_ghost: 0,
    parts_ghost: 0,
    sessions_stale: 0,
    characters_missing: 0,
    turns_dangling: 0,
    examples: [],
  }
}

/** Adds to `sum`. `truth` undefined: opencode has it no more. `share` undefined: it was never made. */
export function compare(sum: Difference, truth: SessionState | undefined, share: HeldShare | undefined): void {
  const items = share?.items ?? new Map<string, Json>()
  const expected = new Set<string>()
  const note = (what: string) => {
    if (sum.examples.length < examples_max) sum.examples.push(what)
  }
  for (const { info, parts } of truth?.messages ?? []) {
    sum.messages++
    const key = itemKey("message", info)
    expected.add(key)
    const seen = seenAs(items.get(key), info)
    if (seen !== "same") sum[`messages_${seen}`]++
    if (seen !== "same") note(`${seen} ${key} of ${info.role}`)
    if (share && info.role === "assistant" && isDangling(share, info)) {
      sum.turns_dangling++
      note(`dangling ${key}`)
    }
    for (const part of parts) {
      sum.parts++
      const key = itemKey("part", part)
      expected.add(key)
      const held = items.get(key) as Part | undefined
      const seen = seenAs(held, part)
      if (seen === "same") continue
      sum[`parts_${seen}`]++
      sum.characters_missing += Math.max(0, textOf(part).length - (held ? textOf(held).length : 0))
      note(`${seen} ${key}, ${String(part.type)}`)
    }
  }
  for (const key of items.keys()) {
    const type = key.split("/")[0]
    if (expected.has(key) || (type !== "message" && type !== "part")) continue
    sum[type === "message" ? "messages_ghost" : "parts_ghost"]++
    note(`ghost ${key}`)
  }
  if (truth && withoutShare(items.get("session")) !== withoutShare(truth.info)) {
    sum.sessions_stale++
    note("stale session")
  }
}

function seenAs(held: Json | undefined, truth: JsonObject): "same" | "missing" | "stale" {
  if (held === undefined) return "missing"
  return canonical(held) === canonical(truth) ? "same" : "stale"
}

/** opencode's own field for its share is no content: it names the share, and is not taken back by unsharing. */
function withoutShare(session: Json | undefined): string {
  return canonical(session === undefined ? undefined : { ...(session as JsonObject), share: 0 })
}

function textOf({ text, state }: Part): string {
  if (typeof text === "string") return text
  const output = (state as JsonObject | undefined)?.output
  return typeof output === "string" ? output : ""
}

/** Nothing runs any more when this is asked. A service that knows no turns shows only the message itself. */
function isDangling({ items, turns }: HeldShare, { id }: { id: string }): boolean {
  if (turns) return (turns.get(id) ?? "streaming") === "streaming"
  const held = items.get(`message/${id}`) as JsonObject | undefined
  return held !== undefined && !held.error && (held.time as JsonObject | undefined)?.completed === undefined
}
