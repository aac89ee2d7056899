/** The rules that hold in every outbox file, each with a stable code and the invariant of ARCHITECTURE.md it belongs to. */
import { idText } from "../../store/id-blob.ts"
import { localSeq } from "../../store/stream.ts"

export const invariants = {
  I1: "no loss",
  I2: "once",
  I3: "order",
  I4: "truth",
  I5: "cursors",
  I6: "atomic",
} as const

export type InvariantName = keyof typeof invariants

export const rules = {
  op_lost: ["I1", "every place behind what was pruned, up to the last, holds an op, or one that a newer op replaced"],
  op_in_two_places: ["I1", "an op is one of pending, applied, superseded and dead"],
  place_disputed: ["I1", "what became of an op stands at the op's own place"],
  superseded_unnamed: ["I1", "the op that replaced another one lists it, and is the one that is named there"],
  gap_count: ["I1", "gap_count: replaced ops above the cursor"],
  dead_count: ["I1", "dead_count: dead letters about which nobody has decided"],
  superseded_count: ["I1", "superseded_count: ops that were replaced here, pruned ones too"],
  op_id_twice: ["I2", "an op_id is that of one op of its stream"],
  writer_twice: ["I2", "a writer is that of one stream"],
  batch_id_twice: ["I2", "a batch_id is that of one batch of its stream"],
  batch_range: ["I3", "a batch lies within its stream, from its first op to its last"],
  batch_overlap: ["I3", "batches follow one another"],
  op_between_batches: ["I3", "every op up to frozen_seq is in a batch: else it is never sent"],
  frozen_seq: ["I3", "frozen_seq is where the last batch ends, or what was pruned"],
  batch_splits_unit: ["I3", "a unit is in one batch"],
  unit_broken: ["I3", "an op that continues a unit follows an op"],
  dependency_younger: ["I3", "an op depends on older ones only"],
  settled_op_id: ["I4", "settled_op_id is the op at the cursor, or what was pruned last"],
  batch_unmarked: ["I4", "a batch at or below the cursor has its time of settling; above it only after a server_reset"],
  result_unsettled: ["I4", "a result is that of an op at or below the cursor; above it only after a server_reset"],
  cursor_order: ["I5", "pruned_seq ≤ cursor ≤ frozen_seq ≤ last place, all of them in the stream"],
  cursor_in_batch: ["I5", "the cursor is where a batch ends, or what was pruned"],
  below_pruned: ["I5", "nothing at or below pruned_seq is kept but dead letters"],
  retained_ops: ["I5", "retained_ops: ops above pruned_seq up to the cursor"],
  retained_bytes: ["I5", "retained_bytes: what their batches count"],
  batch_count: ["I5", "batch_count: at least the settled batches that are there"],
  removal_order: ["I5", "a stream is closed, and its removal repeated, only after the removal was recorded"],
  batch_ops: ["I6", "op_count of a batch: the ops in it"],
  batch_bytes: ["I6", "bytes of a batch: those of the text of its ops, and the envelope"],
  op_damaged: ["I6", "an op is what was recorded, by its checksum"],
  dead_letter_damaged: ["I6", "a dead letter holds the op that was sent"],
  decision_half: ["I6", "a decision about a dead letter has its time, and a retry its new op"],
  stream_unknown: ["I6", "every row belongs to a stream that is there"],
  result_orphan: ["I6", "a result has its op"],
  superseded_orphan: ["I6", "an op that the service called superseded is kept as long as the note of it"],
  captures_of_closed: ["I6", "a closed stream has no captures and no items"],
  capture_damaged: ["I6", "captures and items name ops, of 16 bytes each"],
  unreadable: ["I6", "every row can be read"],
} as const satisfies Record<string, readonly [InvariantName, string]>

export type RuleCode = keyof typeof rules

/** Something in the file that Sturdy did not write. */
export interface Finding {
  kind: "finding"
  invariant: InvariantName
  code: RuleCode
  stream: string | undefined
  /** For people: which rows, and what is wrong with them. Never a payload, never a secret. */
  what: string
  /** Place in the stream, from 1. */
  seq?: number
  op_id?: string
  batch_id?: string
}

interface Where {
  seq?: number
  op_id?: Uint8Array
  batch_id?: string
}

export function finding(
  code: RuleCode,
  stream: { name: string } | undefined,
  what: string,
  { seq, op_id, batch_id }: Where = {},
): Finding {
  return {
    kind: "finding",
    invariant: rules[code][0],
    code,
    stream: stream?.name,
    what,
    ...(seq !== undefined && { seq: localSeq(seq) }),
    ...(op_id?.length === 16 && { op_id: idText(op_id) }),
    ...(batch_id !== undefined && { batch_id }),
  }
}

/** The id as people write it; what is none is said to be none. */
export function nameOf(op_id: unknown): string {
  return op_id instanceof Uint8Array && op_id.length === 16 ? idText(op_id) : "an id that is none"
}

/** "places 5..9", "place 5", within the stream. */
export function placesText(from: number, to: number): string {
  return from === to ? `place ${localSeq(from)}` : `places ${localSeq(from)}..${localSeq(to)}`
}
