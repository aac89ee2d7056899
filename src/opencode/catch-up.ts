/**
 * Brings a shared session's stream in line with what opencode holds: what was never recorded, because opencode was
 * killed between its commit and our record, or the plugin was not there, or the disk was full, or another process
 * overtook. Independent of how it came about: states are compared by content, and only what differs is recorded.
 *
 * Beside live events. The keys are looked at first, then opencode is read, then each op is recorded only if the latest
 * op of its key is still the one that was seen, decided in the recording transaction: whoever recorded meanwhile, in any
 * process, has the newer state, or is about to record it.
 */
import type { Outbox, RecordInput, Stream } from "../index.ts"
import type { BusEvent } from "./event.ts"
import { inFittingSize, type Size } from "./fit.ts"
import { mapEvent, type MappedOp, type TurnState } from "./map-event.ts"
import type { SessionMessage } from "./session-source.ts"

export interface SessionState {
  messages: SessionMessage[]
  diff: unknown[] | undefined
}

export interface CatchUpParts {
  outbox: Outbox
  stream: Stream
  session_id: string
  /** The op as it is shared; stale if nothing of it is. */
  prepare(op: StateOp, size: Size): RecordInput
  /** May somebody still end the turn of this message? */
  isOwned(message_id: string): boolean
  /** Lets the event loop have its turn, if it is time. */
  turn(): Promise<void>
}

/** An op that follows from a state, not from an event. */
export type StateOp = Omit<MappedOp, "captureId">

/** Records the session's info if it differs. `latest`: op of its key from before the info was read. */
export function recordSession(parts: CatchUpParts, latest: string | undefined, info: Record<string, unknown>): void {
  const known = new Map(latest === undefined ? [] : [["session", latest]])
  for (const op of opsOf("session.updated", { sessionID: parts.session_id, info })) recordIfUntouched(parts, known, op)
}

/**
 * Records what differs. `known`: `stream.items()` from before the state was read. True if somebody else recorded something
 * of a message meanwhile: then what lies below it was left alone, and it is to be looked at again.
 */
export async function catchUp(
  parts: CatchUpParts,
  known: ReadonlyMap<string, string>,
  state: SessionState,
): Promise<boolean> {
  const { session_id } = parts
  let touched = false
  const record = (op: StateOp) => recordIfUntouched(parts, known, op)
  const present = new Set<string>()
  for (const message of state.messages) {
    await parts.turn()
    if (!(await recordMessage(parts, known, message, present))) touched = true
  }
  for (const key of known.keys()) {
    if (present.has(key)) continue
    await parts.turn()
    for (const op of removalOf(session_id, key, present)) record(op)
  }
  // Not part of opencode's state unless somebody asked for it: empty says nothing.
  if (state.diff?.length)
    for (const op of opsOf("session.diff", { sessionID: session_id, diff: state.diff })) record(op)
  return touched
}

/** A message and its parts. False if somebody else has it in hand, or took it meanwhile: the rest is not ours to say. */
async function recordMessage(
  parts: CatchUpParts,
  known: ReadonlyMap<string, string>,
  { info, parts: messageParts }: SessionMessage,
  present: Set<string>,
): Promise<boolean> {
  const { session_id } = parts
  const [put, turn] = opsOf("message.updated", { sessionID: session_id, info })
  if (!put) return true
  present.add(put.key)
  for (const part of messageParts) for (const { key } of partOps(session_id, part)) present.add(key)
  const { touched, op_id } = recordIfUntouched(parts, known, put)
  // It may be removed: nothing below it is ours to say.
  if (touched) return false
  let isTaken = false
  const isOver = (latest: (key: string) => string | undefined) => (isTaken = latest(put.key) !== op_id)
  for (const part of messageParts) {
    await parts.turn()
    for (const op of partOps(session_id, part)) recordIfUntouched(parts, known, op, isOver)
  }
  if (turn) recordIfUntouched(parts, known, settledTurn(parts, turn, String(info.id)), isOver)
  return !isTaken
}

function partOps(session_id: string, part: Record<string, unknown>): StateOp[] {
  return opsOf("message.part.updated", { sessionID: session_id, part })
}

/** A turn that nobody will end is interrupted; the message stays as opencode has it. */
function settledTurn({ isOwned }: CatchUpParts, turn: StateOp, message_id: string): StateOp {
  const state = turn.args[0].state as TurnState
  if (state !== "streaming" || isOwned(message_id)) return turn
  return { ...turn, args: [{ ...turn.args[0], state: "interrupted" satisfies TurnState }] }
}

/** What is known of a key that opencode does not hold any more. Parts go with their message. */
function removalOf(session_id: string, key: string, present: ReadonlySet<string>): StateOp[] {
  const [, messageID, , partID] = /^message\/([^/]+)(\/part\/([^/]+))?$/.exec(key) ?? []
  if (messageID === undefined) return []
  if (partID === undefined) return opsOf("message.removed", { sessionID: session_id, messageID })
  return present.has(`message/${messageID}`)
    ? opsOf("message.part.removed", { sessionID: session_id, messageID, partID })
    : []
}

/** `touched`: by somebody else since the keys were looked at. Else `op_id` stands for the key now. */
function recordIfUntouched(
  { outbox, stream, prepare }: CatchUpParts,
  known: ReadonlyMap<string, string>,
  op: StateOp,
  isOver: (latest: (key: string) => string | undefined) => boolean = () => false,
): { touched: boolean; op_id?: string | undefined } {
  return inFittingSize((size) => {
    const prepared = prepare(op, size)
    if (prepared.stale === true) return { touched: false, op_id: known.get(op.key) }
    let touched = false
    const intent = stream.record({
      ...prepared,
      stale: (latest) => (touched = isOver(latest) || latest(op.key) !== known.get(op.key)),
    })
    return touched ? { touched } : { touched, op_id: outbox.opId(intent) }
  })
}

/** The ops of an event that would announce the state. */
function opsOf(type: string, properties: BusEvent["properties"]): StateOp[] {
  const mapped = mapEvent({ id: "state", type, properties })
  if (mapped.kind !== "ops") return []
  return mapped.ops.map(({ captureId: _captureId, ...op }) => op)
}
