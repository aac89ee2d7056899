/** Events as opencode's bus has them, in as few words as a test needs. */
import type { BusEvent } from "../../src/opencode/event.ts"

let count = 0

export function busEvent(type: string, properties: Record<string, unknown>): BusEvent {
  return { id: `evt_made_${++count}`, type, properties }
}

export function sessionEvent(id: string, more: Record<string, unknown> = {}, type = "session.created"): BusEvent {
  return busEvent(type, { sessionID: id, info: { id, title: `Title of ${id}`, ...more } })
}

export function messageEvent(sessionID: string, id: string, more: Record<string, unknown> = {}): BusEvent {
  return busEvent("message.updated", {
    sessionID,
    info: { id, sessionID, role: "user", time: { created: 1 }, ...more },
  })
}

export function partEvent(sessionID: string, messageID: string, id: string, text: string, more: object = {}): BusEvent {
  const part = { id, sessionID, messageID, type: "text", text, ...more }
  return busEvent("message.part.updated", { sessionID, part })
}

export function deltaEvent(sessionID: string, messageID: string, partID: string, delta: string): BusEvent {
  return busEvent("message.part.delta", { sessionID, messageID, partID, field: "text", delta })
}

export function idleEvent(sessionID: string): BusEvent {
  return busEvent("session.idle", { sessionID })
}
