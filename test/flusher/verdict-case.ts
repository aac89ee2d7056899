/** One stream, two batches, and every answer that a test wants to them. */
import { askedMs } from "../../src/flusher/classify.ts"
import { judge, postFor, type Verdict } from "../../src/flusher/verdict.ts"
import type { WireOp } from "../../src/intent/op.ts"
import type { FrozenBatch } from "../../src/store/freeze.ts"
import type { StreamRow } from "../../src/store/stream.ts"
import type { Ack, GrantFacts, Refusal } from "../../src/wire/contract.ts"
import type { Answer, PostAnswer } from "../../src/wire/post.ts"
import { TransportFault } from "../../src/wire/transport.ts"

export const ids = ["01JD0000000000000000000001", "01JD0000000000000000000002", "01JD0000000000000000000003"] as const
const batch_1 = "01JD00000000000000000000B1"
export const batch_2 = "01JD00000000000000000000B2"
export const foreign = "01JD0000000000000000000009"

export const row: StreamRow = {
  stream_id: 1,
  name: "s",
  service: "http://share.example/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "secret_of_the_test_0123456789abcdef",
  writer_id: "writer_of_the_test",
  session_id: null,
  granted: 1,
  probing: 0,
  protocol: null,
  remote_id: null,
  remote_secret: null,
  next_secret: null,
  service_id: "service_1",
  epoch: 1,
  url: null,
  batch_ops_max: 100,
  batch_bytes_max: 1,
  op_bytes_max: 1,
  cursor: 0,
  frozen_seq: 3,
  gap_count: 0,
  base_cursor: 10,
  base_head_op_id: null,
  settled_op_id: null,
  pruned_seq: 0,
  pruned_op_id: null,
  retained_ops: 0,
  retained_bytes: 0,
  attempts: 0,
  next_attempt_at: null,
  retry_after_at: null,
  last_error: null,
  block: null,
  block_message: null,
  time_blocked: null,
  service_fault_count: 0,
  resync_owed: null,
  time_removal: null,
  time_closed: null,
  repeat_removal: 0,
  post_count: 0,
  batch_count: 0,
  dead_count: 0,
  superseded_count: 0,
  twin_count: 0,
  reset_count: 0,
  time_created: 0,
}

export const grant: GrantFacts = {
  share_id: row.share_id,
  service_id: "service_1",
  epoch: 1,
  scopes: ["append"],
  cursor: 10,
  head_op_id: null,
  limits: { batch_ops_max: 100, batch_bytes_max: 1024, op_bytes_max: 512 },
}

function batchOf(batch_id: string, op_ids: readonly string[], first_seq: number): FrozenBatch {
  const ops = op_ids.map((op_id): WireOp => {
    return { op_id, method: "put", codec: "capnweb", args: "[[]]", depends_on: [], schema_version: 1, time_created: 1 }
  })
  return {
    batch_id,
    first_seq,
    last_seq: first_seq + ops.length - 1,
    bytes: 1,
    op_count: ops.length,
    units: ops.map(() => 1),
    ops,
    seqs: ops.map((_, index) => first_seq + index),
  }
}

export const batch = (op_ids: readonly string[], units = op_ids.map(() => 1)): FrozenBatch => ({
  ...batchOf(batch_1, op_ids, 1),
  units,
})

export const batches = [batchOf(batch_1, ids.slice(0, 2), 1), batchOf(batch_2, ids.slice(2), 3)]

export const ack = (more: Partial<Ack> = {}): Ack => ({
  batch_id: batch_1,
  cursor: 12,
  head_op_id: ids[1],
  epoch: 1,
  applied: ids.slice(0, 2),
  duplicates: [],
  rejected: [],
  ...more,
})
export const ack2 = ack({ batch_id: batch_2, cursor: 13, head_op_id: ids[2], applied: [ids[2]] })

export const value = <T>(answered: unknown): Answer<T> => ({ kind: "value", value: answered as T })
export const refused = (code: string, more: { service_id?: string } = {}): Answer<never> => {
  return { kind: "refused", code, message: `said ${code}`, ...more }
}
export const fault = (...args: ConstructorParameters<typeof TransportFault>): Answer<never> => {
  return { kind: "fault", fault: new TransportFault(...args) }
}
export const lost = fault("connection_lost", "unknown", "gone")

export interface Case {
  stream?: Partial<StreamRow>
  batches?: FrozenBatch[]
  created?: Answer<never>
  grant?: Answer<GrantFacts>
  appended?: Answer<Ack | Refusal>[]
  removed?: Answer<{ removed: true }>
  knows?: boolean
  retained?: boolean
}

export function verdictOf(given: Case): Verdict {
  const shipment = { stream: { ...row, ...given.stream }, batches: given.batches ?? batches, sealed: [] }
  const post = postFor(shipment, {})
  const answer: PostAnswer = {
    created: given.created,
    grant: given.grant ?? value(grant),
    appended: given.appended ?? [value(ack()), value(ack2)],
    removed: given.removed,
  }
  return judge(shipment, post, answer, {
    knowsOp: () => given.knows ?? true,
    hasRetained: () => given.retained ?? false,
  })
}

/** `settled 2; retry gap at once` */
export function said(given: Case): string {
  const { acked, reset, twin, alone, cut, lifted, next } = verdictOf(given)
  const parts = [
    ...(acked.length ? [`settled ${acked.length}`] : []),
    ...(twin ? ["twin"] : []),
    ...(reset ? [`reset to ${reset.cursor}`] : []),
    ...(lifted ? [`unblocked ${lifted}`] : []),
    ...(alone && !cut ? ["alone"] : []),
    ...(cut ? [`cut ${cut.units.join("+")}`] : []),
  ]
  const asked_ms = askedMs(next)
  const asked = asked_ms === undefined ? "" : ` after ${asked_ms}`
  if (next.go === "block") parts.push(`block ${next.block.reason}${asked}`)
  else if (next.go === "retry") parts.push(`retry ${next.fault.code}${next.fault.at_once ? " at once" : ""}${asked}`)
  else parts.push(next.go)
  return parts.join("; ")
}

export const refusal = (code: string, more: object = {}) =>
  value<Ack | Refusal>({ refused: code, message: `said ${code}`, ...more })
export const register = { cursor: 7, head_op_id: foreign }
