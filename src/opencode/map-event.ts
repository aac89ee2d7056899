/**
 * Bus events of opencode → the ops that are recorded for them. Pure and stateless: what was recorded before is known
 * to the store, which skips a repeated `captureId` and an unchanged state, and resolves keys to op_ids.
 *
 *   event                          recorded as one unit                       key
 *   session.created, .updated      session.put(info)                          session
 *   message.updated                message.put(info)                          message/<id>
 *     of an assistant, also        turn.put({ message_id, state })            message/<id>/turn
 *   message.part.updated           part.put(part)                             message/<message id>/part/<id>
 *   session.diff                   session_diff.put({ diff })                 session_diff
 *   message.removed                message.remove({ id })                     message/<id>, ends all below it
 *   message.part.removed           part.remove({ id, message_id })            message/<message id>/part/<id>
 *   session.deleted                the share is removed
 *   any other with a session id    nothing, but the session is known from here on
 *   anything else                  ignored
 *
 * Left out on purpose. Deltas: every streamed part comes again in full at its end. session.status, .idle, .error: no
 * state of the share, and idle comes before the last updates of its turn; the end of a turn is the message.updated
 * that completes it, together with its turn.put. Unshare: not to be seen on the bus. After it one session.updated
 * comes without `share`, later ones carry the old url again, so neither its presence nor its absence means anything;
 * unsharing is an explicit call of the adapter. `interrupted`: a process that was killed sends no event; the resuming
 * side knows it. model.put: no event carries a model.
 *
 * Depends on: a put of a part → the first put of its message → the first put of its session. Removals depend on
 * nothing: they must go through even if the put that they undo was rejected.
 */
import { type BusEvent, arrayAt, idAt, isOpencodeId, isRecord, malformedEvent, recordAt } from "./event.ts"

export type TurnState = "streaming" | "completed" | "failed" | "aborted" | "interrupted"

export interface MappedOp {
  method: string
  /** Holds the event's own objects: serialize at once, change nothing. */
  args: [Record<string, unknown>]
  /** Ops with the same key are states of the same thing. Keys form a tree by "/". */
  key: string
  /** The event's id, with a suffix for a further op of the same event. Unique in a session. */
  captureId: string
  /** Skip if method and args equal those of the last op recorded with this key. */
  onlyIfChanged: boolean
  /** Depends on the first op recorded with each of these keys; on none where there is none. */
  dependsOnKeys: string[]
  /** Everything whose key begins with this is over: forget it, so that it is recorded in full if it comes back. */
  endsKeys?: string
}

export type Mapped =
  /** Noise: it belongs to no session. */
  | { kind: "ignored" }
  /** One unit. May be empty: the session is known from here on, and there is nothing to record. */
  | { kind: "ops"; session_id: string; ops: MappedOp[] }
  | { kind: "removed"; session_id: string }

/** @throws SturdyError `recording_malformed` if an event of a known type lacks what its mapping needs. */
export function mapEvent(event: BusEvent): Mapped {
  if (!isRecord(event)) return { kind: "ignored" }
  switch (event.type) {
    case "session.created":
    case "session.updated":
      return unit(event, putSession(event))
    case "message.updated":
      return unit(event, ...putMessage(event))
    case "message.part.updated":
      return unit(event, putPart(event))
    case "session.diff":
      return unit(event, putSessionDiff(event))
    case "message.removed":
      return unit(event, removeMessage(event))
    case "message.part.removed":
      return unit(event, removePart(event))
    case "session.deleted":
      return { kind: "removed", session_id: idAt(event, "sessionID") }
  }
  const session_id = isRecord(event.properties) ? event.properties.sessionID : undefined
  return isOpencodeId(session_id) ? { kind: "ops", session_id, ops: [] } : { kind: "ignored" }
}

function unit(event: BusEvent, ...ops: Omit<MappedOp, "captureId" | "onlyIfChanged">[]): Mapped {
  if (!isOpencodeId(event.id)) throw malformedEvent(event, "id", "is not an id")
  return {
    kind: "ops",
    session_id: idAt(event, "sessionID"),
    ops: ops.map((op, index) => ({
      ...op,
      captureId: index === 0 ? event.id : `${event.id}#${op.method.split(".")[0]}`,
      onlyIfChanged: true,
    })),
  }
}

function putSession(event: BusEvent) {
  const info = recordAt(event, "info")
  if (idAt(event, "info.id") !== idAt(event, "sessionID")) throw foreign(event, "info.id")
  return { method: "session.put", args: [info] as [typeof info], key: "session", dependsOnKeys: [] }
}

function putMessage(event: BusEvent) {
  const info = recordAt(event, "info")
  const key = messageKey(idAt(event, "info.id"))
  if (idAt(event, "info.sessionID") !== idAt(event, "sessionID")) throw foreign(event, "info.sessionID")
  const put = { method: "message.put", args: [info] as [typeof info], key, dependsOnKeys: ["session"] }
  if (info.role !== "assistant") return [put]
  const turn = { message_id: info.id, state: turnState(info) }
  return [put, { method: "turn.put", args: [turn] as [typeof turn], key: `${key}/turn`, dependsOnKeys: [key] }]
}

function putPart(event: BusEvent) {
  const part = recordAt(event, "part")
  const message_id = idAt(event, "part.messageID")
  if (idAt(event, "part.sessionID") !== idAt(event, "sessionID")) throw foreign(event, "part.sessionID")
  return {
    method: "part.put",
    args: [part] as [typeof part],
    key: partKey(message_id, idAt(event, "part.id")),
    dependsOnKeys: [messageKey(message_id)],
  }
}

function putSessionDiff(event: BusEvent) {
  const args: [Record<string, unknown>] = [{ diff: arrayAt(event, "diff") }]
  return { method: "session_diff.put", args, key: "session_diff", dependsOnKeys: ["session"] }
}

/** opencode sends no message.part.removed for the parts of a removed message. */
function removeMessage(event: BusEvent) {
  const id = idAt(event, "messageID")
  const args: [Record<string, unknown>] = [{ id }]
  return { method: "message.remove", args, key: messageKey(id), dependsOnKeys: [], endsKeys: `${messageKey(id)}/` }
}

function removePart(event: BusEvent) {
  const id = idAt(event, "partID")
  const message_id = idAt(event, "messageID")
  const args: [Record<string, unknown>] = [{ id, message_id }]
  return { method: "part.remove", args, key: partKey(message_id, id), dependsOnKeys: [] }
}

/** For a message or part of which nothing may be told any more; undefined for what cannot be removed. */
export function removalInstead<Op extends Omit<MappedOp, "captureId">>(op: Op): Op | undefined {
  const { id, messageID } = op.args[0]
  if (op.method === "message.put")
    return { ...op, method: "message.remove", args: [{ id }], dependsOnKeys: [], endsKeys: `${op.key}/` }
  if (op.method === "part.put")
    return { ...op, method: "part.remove", args: [{ id, message_id: messageID }], dependsOnKeys: [] }
  return
}

/** An error counts before completion: opencode sets both when a turn is aborted. */
function turnState(info: Record<string, unknown>): TurnState {
  if (isRecord(info.error)) return info.error.name === "MessageAbortedError" ? "aborted" : "failed"
  return isRecord(info.time) && typeof info.time.completed === "number" ? "completed" : "streaming"
}

function messageKey(message_id: string): string {
  return `message/${message_id}`
}

function partKey(message_id: string, id: string): string {
  return `${messageKey(message_id)}/part/${id}`
}

/** Shares are public: content of another session must never reach this one's. */
function foreign(event: BusEvent, path: string) {
  return malformedEvent(event, `properties.${path}`, "belongs to another session than properties.sessionID")
}
