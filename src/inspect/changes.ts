/**
 * What happened in an outbox between two looks at it. Told from counters, so what came and went between the looks shows
 * in sums only: an op that was recorded and settled is one recorded and one settled.
 */
import { type LeaseChange, leaseChanges } from "./lease-changes.ts"
import type { Look } from "./look.ts"
import type { StreamSummary } from "./status.ts"

interface Of {
  stream: string
}

export type StreamChange =
  | (Of & { type: "opened"; service: string })
  | (Of & { type: "recorded"; ops: number })
  /** Replaced by newer ones before they were sent. */
  | (Of & { type: "superseded"; ops: number })
  | (Of & { type: "settled"; ops: number; batches: number })
  | (Of & { type: "drained" })
  /** Of an attempt, or of the probe of a blocked stream; `attempts` failed in a row. */
  | (Of & { type: "failed"; probe: boolean; attempts: number; error: string | null; next_attempt_at: number | null })
  /** New dead letters. */
  | (Of & { type: "rejected"; ops: number })
  /** Dead letters that were retried or discarded. */
  | (Of & { type: "decided"; ops: number })
  | (Of & { type: "blocked"; reason: string; message: string | null })
  | (Of & { type: "unblocked"; reason: string })
  | (Of & { type: "twin" })
  /** The service lost acknowledged data: so many are pending again. */
  | (Of & { type: "server_reset"; ops: number })
  | (Of & { type: "removing" })
  /** Its share is gone; so many pending ops were given up with it. */
  | (Of & { type: "removed"; discarded: number })

/** Another outbox lies in its place: nothing in it is compared with the one before. */
export interface Replaced {
  type: "replaced"
  outbox_id: string
}

export type Change = StreamChange | LeaseChange | Replaced

export function changesBetween(before: Look, after: Look): Change[] {
  if (before.outbox_id !== after.outbox_id) return [{ type: "replaced", outbox_id: after.outbox_id }]
  const known = new Map(before.streams.map((stream) => [stream.stream, stream]))
  const ofStreams = after.streams.flatMap((stream) => streamChanges(known.get(stream.stream), stream))
  return [...leaseChanges(before.lease, after.lease), ...ofStreams]
}

/** Something that happened to it, whichever number says so. */
function streamChanges(before: StreamSummary | undefined, after: StreamSummary): StreamChange[] {
  const { stream, service } = after
  const opened: StreamChange[] = before ? [] : [{ type: "opened", stream, service }]
  const from = before ?? emptyAt(after)
  return [...opened, ...trafficChanges(from, after), ...troubleChanges(from, after), ...endChanges(from, after)]
}

/** A stream as it was when it was made. */
function emptyAt(stream: StreamSummary): StreamSummary {
  const zero = { pending: 0, dead: 0, attempts: 0, twins: 0, server_resets: 0, batches: 0, superseded: 0 }
  return { ...stream, ...zero, state: "idle", block: null, recorded: 0, cursor: 0, next_attempt_at: null }
}

function trafficChanges(before: StreamSummary, after: StreamSummary): StreamChange[] {
  const { stream } = after
  const recorded = after.recorded - before.recorded
  const superseded = after.superseded - before.superseded
  const batches = after.batches - before.batches
  const isComparable = after.server_resets === before.server_resets && after.state !== "removed"
  // What came in less what is still there. The cursor would count places that were superseded.
  const settled = isComparable ? before.pending + recorded - superseded - after.pending : 0
  const changes: StreamChange[] = []
  if (recorded > 0) changes.push({ type: "recorded", stream, ops: recorded })
  if (superseded > 0) changes.push({ type: "superseded", stream, ops: superseded })
  if (settled > 0) changes.push({ type: "settled", stream, ops: settled, batches })
  if (settled > 0 && after.pending === 0) changes.push({ type: "drained", stream })
  return changes
}

function troubleChanges(before: StreamSummary, after: StreamSummary): StreamChange[] {
  const { stream, attempts, next_attempt_at, block, block_message: message, dead } = after
  const changes: StreamChange[] = []
  const isReset = after.server_resets > before.server_resets
  if (after.twins > before.twins) changes.push({ type: "twin", stream })
  if (isReset) changes.push({ type: "server_reset", stream, ops: Math.max(0, after.pending - before.pending) })
  if (dead > before.dead) changes.push({ type: "rejected", stream, ops: dead - before.dead })
  // After a reset the service decides them anew.
  if (dead < before.dead && !isReset) changes.push({ type: "decided", stream, ops: before.dead - dead })
  if (before.block !== null && before.block !== block) changes.push({ type: "unblocked", stream, reason: before.block })
  if (block !== null && before.block !== block) changes.push({ type: "blocked", stream, reason: block, message })
  // The number alone may stay the same: it begins anew when something was settled in between.
  const isNew = attempts !== before.attempts || next_attempt_at !== before.next_attempt_at
  if (attempts > 0 && isNew && block === before.block) {
    const failure = { probe: block !== null, attempts, error: after.last_error, next_attempt_at }
    changes.push({ type: "failed", stream, ...failure })
  }
  return changes
}

function endChanges(before: StreamSummary, after: StreamSummary): StreamChange[] {
  const { stream, state } = after
  if (state === before.state) return []
  if (state === "removing") return [{ type: "removing", stream }]
  if (state === "removed") return [{ type: "removed", stream, discarded: before.pending }]
  return []
}
