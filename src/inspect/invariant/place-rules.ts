/** I1 of one window: each place holds an op, or a note of the op that replaced it; and each op is what was recorded. */
import { idBlob, idsFromBlob, idText } from "../../store/id-blob.ts"
import { endSeq, firstSeq } from "../../store/stream.ts"
import { isOrdered, mayBeDiscarded, type OutboxReader, type StreamPlaces, type SupersededRow } from "./outbox-reader.ts"
import { finding, nameOf, placesText, type Finding } from "./rule.ts"
import type { SeenOp, Window } from "./window.ts"

/** `tell` hears of every place that holds an op_id, in order. */
export function checkPlaces(
  reader: OutboxReader,
  window: Window,
  tell: (seq: number, op_id: Uint8Array, depends_on?: Uint8Array | null) => void,
): Finding[] {
  const { stream, ops, from, to } = window
  const found: Finding[] = []
  /** Everything up to here is accounted for. */
  let at = from
  const reach = (seq: number) => {
    const last = mayBeDiscarded(stream, seq - 1) ? Math.max(at, stream.cursor) : seq - 1
    if (last > at && isOrdered(stream)) found.push(finding("op_lost", stream, lost(at + 1, last), { seq: at + 1 }))
    at = Math.max(at, seq)
  }
  let replaced: SupersededRow | undefined
  for (const { op, superseded } of merged(ops, reader.superseded(from, to))) {
    const seq = (op ?? superseded)!.seq
    reach(seq)
    replaced = op ? undefined : superseded
    if (superseded) found.push(...checkSuperseded(window, superseded, op))
    if (op) found.push(...checkOp(reader, stream, op))
    tell(seq, (op ?? superseded)!.op_id, op?.isWhole ? op.depends_on : null)
  }
  if (!window.isLast) return found
  reach(stream.frozen_seq + 1)
  if (replaced && !mayBeDiscarded(stream, replaced.seq))
    found.push(finding("op_lost", stream, `the op that replaced ${nameOf(replaced.op_id)} is gone`, replaced))
  return found
}

function lost(from: number, to: number): string {
  return `${placesText(from, to)}: neither an op nor a newer one that replaced it`
}

/** Both by place. Read to the end of either. */
function* merged(
  ops: readonly SeenOp[],
  rows: Iterable<SupersededRow>,
): Generator<{ op?: SeenOp; superseded?: SupersededRow }> {
  let next = 0
  for (const superseded of rows) {
    while (next < ops.length && ops[next]!.seq < superseded.seq) yield { op: ops[next++]! }
    if (ops[next]?.seq === superseded.seq) yield { op: ops[next++]!, superseded }
    else yield { superseded }
  }
  while (next < ops.length) yield { op: ops[next++]! }
}

function checkSuperseded({ stream }: Window, row: SupersededRow, op: SeenOp | undefined): Finding[] {
  const { seq, op_id, by_op_id } = row
  const where = { seq, op_id }
  const name = nameOf(op_id)
  if (!op && by_op_id === null)
    return [finding("superseded_orphan", stream, `op ${name}, which the service called superseded, is gone`, where)]
  if (!op) return []
  if (op.isWhole && nameOf(op.op_id) !== name)
    return [finding("place_disputed", stream, `a note says that op ${name} was here: ${nameOf(op.op_id)} is`, where)]
  const state = by_op_id !== null ? "there" : isOrdered(stream) && seq > stream.cursor ? "pending" : undefined
  return state === undefined
    ? []
    : [finding("op_in_two_places", stream, `op ${name} is superseded, and ${state}`, where)]
}

function checkOp(reader: OutboxReader, stream: StreamPlaces, op: SeenOp): Finding[] {
  if (!op.isWhole)
    return [finding("op_damaged", stream, `op ${nameOf(op.op_id)} at ${placesText(op.seq, op.seq)} is damaged`, op)]
  return op.supersedes ? checkReplaced(reader, stream, op, idsFromBlob(op.supersedes)) : []
}

/** The first one it replaced itself, the others that one had. Notes go when their places are pruned. */
function checkReplaced(reader: OutboxReader, stream: StreamPlaces, op: SeenOp, listed: readonly string[]): Finding[] {
  const names = [idText(op.op_id), ...listed]
  return listed.flatMap((name, index) => {
    const note = reader.get<SupersededRow>(
      "select seq, op_id, by_op_id from sturdy_superseded where op_id = ? and seq > ? and seq < ?",
      idBlob(name),
      firstSeq(stream.stream_id),
      endSeq(stream.stream_id),
    )
    if (!note) return []
    const by = note.by_op_id === null ? undefined : nameOf(note.by_op_id)
    const isNamed = by !== undefined && names.indexOf(by) === index
    if (isNamed && note.seq < op.seq) return []
    const what = `op ${names[0]} lists ${name} as replaced, which was replaced by ${by ?? "the service's word"}`
    return [finding("superseded_unnamed", stream, what, { seq: note.seq, op_id: note.op_id })]
  })
}
