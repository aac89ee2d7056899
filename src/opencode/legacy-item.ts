/**
 * Ops as the items of opencode's own share protocol, which keeps the last state of each by type and id:
 *
 *   session.put, message.put, part.put     session, message, part: the argument
 *   session_diff.put({ diff })             session_diff: the list
 *   model.put({ models })                  model: the list; there is one of it
 *   turn.put, message.remove, part.remove  nothing, for it has no form there; they count as done
 */
import { decodeArgs } from "../intent/codec.ts"
import type { WireOp } from "../wire/contract.ts"
import { isRecord } from "./event.ts"

export interface LegacyItem {
  type: string
  data: unknown
}

/** Where a thing lies in opencode's own store, and the item that is put there; without one it is over. */
interface Change {
  key: readonly unknown[]
  item?: LegacyItem
}

type Fields = Record<string, unknown>

const changes: Record<string, (fields: Fields) => Change | undefined> = {
  "session.put": (data) => ({ key: ["session"], item: { type: "session", data } }),
  "message.put": (data) => ({ key: ["message", data.id], item: { type: "message", data } }),
  "part.put": (data) => ({ key: ["part", data.messageID, data.id], item: { type: "part", data } }),
  "session_diff.put": ({ diff }) => ({ key: ["session_diff"], item: { type: "session_diff", data: diff } }),
  "model.put": ({ models }) => ({ key: ["model"], item: { type: "model", data: models } }),
  "turn.put": () => undefined,
  "message.remove": ({ id }) => ({ key: ["message", id] }),
  "part.remove": ({ id, message_id }) => ({ key: ["part", message_id, id] }),
}

/** The items of one batch, of several states of one the last; or the op that has no form there. */
export function legacyItems(ops: readonly WireOp[]): LegacyItem[] | WireOp {
  const items = new Map<string, LegacyItem>()
  for (const op of ops) {
    const fields = argumentOf(op)
    if (!Object.hasOwn(changes, op.method) || !fields) return op
    const change = changes[op.method]!(fields)
    if (!change) continue
    const { key, item } = change
    if (key.some((step) => typeof step !== "string") || (item && item.data === undefined)) return op
    items.delete(key.join("/"))
    if (item) items.set(key.join("/"), item)
  }
  return [...items.values()]
}

/** Undefined if it is not one object, or holds what only a service of ours resolves. */
function argumentOf({ target, codec, args }: WireOp): Fields | undefined {
  if (target) return
  try {
    const decoded: unknown = codec === "json" ? JSON.parse(args) : decodeArgs(args)
    // Cap'n Web has values that JSON has not.
    JSON.stringify(decoded)
    return Array.isArray(decoded) && isRecord(decoded[0]) ? decoded[0] : undefined
  } catch {
    return
  }
}
