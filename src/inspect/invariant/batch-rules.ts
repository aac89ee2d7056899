/** I3 and I6 of one window: batches follow one another, hold whole units, and hold what they count. */
import { batch_envelope_bytes } from "../../intent/op.ts"
import { endSeq, firstSeq } from "../../store/stream.ts"
import { isOrdered, mayBeDiscarded, type BatchPlaces, type OutboxReader } from "./outbox-reader.ts"
import { finding, nameOf, placesText, type Finding } from "./rule.ts"
import type { SeenOp, Window } from "./window.ts"

export function checkBatches(reader: OutboxReader, window: Window): Finding[] {
  if (!isOrdered(window.stream)) return []
  const found: Finding[] = []
  const batchOf = new Map<number, BatchPlaces>()
  let end = window.from
  let next = 0
  for (const batch of window.batches) {
    while (next < window.ops.length && window.ops[next]!.seq < batch.first_seq) next += 1
    const ops: SeenOp[] = []
    for (; next < window.ops.length && window.ops[next]!.seq <= batch.last_seq; next++) ops.push(window.ops[next]!)
    for (const op of ops) batchOf.set(op.seq, batch)
    found.push(...checkPlace(window, batch, end), ...checkTimes(window, batch))
    if (batch.first_seq > end && batch.last_seq >= batch.first_seq) found.push(...checkContents(window, batch, ops))
    end = Math.max(end, batch.last_seq)
  }
  found.push(...checkUnbatched(window, batchOf), ...checkUnits(reader, window, batchOf))
  return found
}

function textOf({ batch_id, first_seq, last_seq }: BatchPlaces): string {
  return `batch ${batch_id} (${placesText(first_seq, last_seq)})`
}

function checkPlace({ stream }: Window, batch: BatchPlaces, end: number): Finding[] {
  const { first_seq, last_seq, batch_id } = batch
  const where = { seq: first_seq, batch_id }
  if (last_seq < first_seq || last_seq >= endSeq(stream.stream_id))
    return [finding("batch_range", stream, `${textOf(batch)} does not lie within its stream`, where)]
  if (first_seq > end) return []
  const what = `${textOf(batch)} begins before the batch before it ends, at ${placesText(end, end)}`
  return [finding("batch_overlap", stream, what, where)]
}

function checkTimes({ stream }: Window, batch: BatchPlaces): Finding[] {
  const { first_seq, last_seq, batch_id, time_settled } = batch
  const { cursor, reset_count } = stream
  if (first_seq <= cursor && last_seq > cursor) return []
  const isSettled = last_seq <= cursor
  // Those of before a server_reset keep their time, until they are settled again.
  if (isSettled ? time_settled !== null : time_settled === null || reset_count > 0) return []
  const what = isSettled ? "lies below the cursor and was not settled" : "was settled and lies above the cursor"
  return [finding("batch_unmarked", stream, `${textOf(batch)} ${what}`, { seq: first_seq, batch_id })]
}

function checkContents({ stream }: Window, batch: BatchPlaces, ops: readonly SeenOp[]): Finding[] {
  const { first_seq, last_seq, batch_id, op_count } = batch
  const where = { seq: first_seq, batch_id }
  if (ops.length === 0 && mayBeDiscarded(stream, first_seq)) return []
  if (ops.length !== op_count) {
    const what = `${textOf(batch)} was frozen with ${op_count} ops and has ${ops.length}`
    return [finding("batch_ops", stream, what, where)]
  }
  if (ops[0]?.seq !== first_seq || ops.at(-1)!.seq !== last_seq)
    return [finding("batch_range", stream, `${textOf(batch)} does not begin and end with an op`, where)]
  if (!ops.every((op) => op.isWhole && op.seq <= stream.frozen_seq)) return []
  const bytes = ops.reduce((sum, op) => sum + op.wire_bytes + 1, batch_envelope_bytes)
  if (bytes === batch.bytes) return []
  const what = `${textOf(batch)} counts ${batch.bytes} bytes, its ops make ${bytes}`
  return [finding("batch_bytes", stream, what, where)]
}

/** One finding for all that follow one another. */
function checkUnbatched({ stream, ops }: Window, batchOf: ReadonlyMap<number, BatchPlaces>): Finding[] {
  const between = ops.filter((op) => op.seq <= stream.frozen_seq && !batchOf.has(op.seq))
  const [first] = between
  if (!first) return []
  const what = `${between.length} ops from op ${nameOf(first.op_id)} on lie before frozen_seq and in no batch: they would never be sent`
  return [finding("op_between_batches", stream, what, first)]
}

function checkUnits(reader: OutboxReader, window: Window, batchOf: ReadonlyMap<number, BatchPlaces>): Finding[] {
  const { stream, ops, from } = window
  return ops.flatMap((op, index) => {
    if (!op.isWhole || !op.continues) return []
    const before = op.seq - 1
    const isThere =
      ops[index - 1]?.seq === before || (before === from && before > firstSeq(stream.stream_id) && reader.opAt(before))
    if (!isThere) {
      // Told as lost.
      if (before > stream.pruned_seq && !isReplaced(reader, before)) return []
      const what = `op ${nameOf(op.op_id)} continues a unit whose op before it is not there`
      return [finding("unit_broken", stream, what, op)]
    }
    // A window begins where a batch does.
    const isSplit = before === from ? before <= stream.frozen_seq : batchOf.get(before) !== batchOf.get(op.seq)
    if (!isSplit || (batchOf.size === 0 && op.seq <= stream.frozen_seq)) return []
    return [finding("batch_splits_unit", stream, `op ${nameOf(op.op_id)} and the one before it are one unit`, op)]
  })
}

function isReplaced(reader: OutboxReader, seq: number): boolean {
  return reader.get("select 1 from sturdy_superseded where seq = ?", seq) !== undefined
}
