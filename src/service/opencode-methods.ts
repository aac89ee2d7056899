/** Methods of an opencode share. Each takes one object; none requires another to come first. */
import { type Handler, type HandlerContext, type Methods, Rejection } from "./handler.ts"
import { isItemId, type ItemKey, putItem, removeMessage } from "./opencode-items.ts"

type Fields = Record<string, unknown>

const turnStates = new Set<unknown>(["streaming", "completed", "failed", "aborted", "interrupted"])

export const opencodeMethods: Methods = {
  "session.put": method((context, session) => {
    put(context, { type: "session", id: idIn(session, "id") }, session)
  }),
  "message.put": method((context, message) => {
    put(context, { type: "message", id: idIn(message, "id") }, message)
  }),
  "part.put": method((context, part) => {
    put(context, { type: "part", id: idIn(part, "id"), message_id: idIn(part, "messageID") }, part)
  }),
  "session_diff.put": method((context, { diff }) => {
    put(context, { type: "session_diff", id: "session_diff" }, listOf(diff, "diff"))
  }),
  "model.put": method((context, fields) => {
    put(context, { type: "model", id: idIn(fields, "provider_id") }, listOf(fields.models, "models"))
  }),
  "turn.put": method((context, turn) => {
    if (!turnStates.has(turn.state)) throw invalid("state")
    put(context, { type: "turn", id: idIn(turn, "message_id") }, turn)
  }),
  "message.remove": method((context, fields) => {
    removeMessage(context, idIn(fields, "id"))
  }),
  "part.remove": method((context, fields) => {
    putItem(context, { type: "part", id: idIn(fields, "id"), message_id: idIn(fields, "message_id") }, null)
  }),
}

function method(body: (context: HandlerContext, fields: Fields) => void): Handler {
  return (context, fields) => {
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw invalid("the argument")
    body(context, fields as Fields)
  }
}

/** opencode's values are plain JSON: the text is the one that was recorded. */
function put(context: HandlerContext, key: ItemKey, value: object): void {
  putItem(context, key, jsonOf(value))
}

function jsonOf(value: object): string {
  try {
    return JSON.stringify(value)
  } catch {
    throw new Rejection("invalid_args", "the value is not plain JSON")
  }
}

function idIn(fields: Fields, name: string): string {
  const id = fields[name]
  if (!isItemId(id)) throw invalid(name)
  return id
}

function listOf(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(name)
  return value
}

function invalid(what: string): Rejection {
  return new Rejection("invalid_args", `${what} is missing or not of the form that this method takes`)
}
