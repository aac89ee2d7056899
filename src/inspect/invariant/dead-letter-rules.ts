/** Dead letters of one stream, some at a time: each holds its op, and is nothing else. */
import type { WireOp } from "../../intent/op.ts"
import { endSeq, firstSeq } from "../../store/stream.ts"
import { isOrdered, type OutboxReader, type StreamPlaces } from "./outbox-reader.ts"
import { finding, nameOf, placesText, type Finding } from "./rule.ts"

const letters_per_look = 200

interface LetterRow {
  seq: number
  op_id: Uint8Array
  op: string
  decision: string | null
  time_decided: number | null
  retried_op_id: Uint8Array | null
}

export interface Letters {
  found: Finding[]
  count: number
  /** Place after which to go on; undefined at the end. */
  next: number | undefined
}

/** In one read transaction. `tell` hears of those whose op is pruned. */
export function checkLetters(
  reader: OutboxReader,
  stream_id: number,
  after: number,
  tell: (seq: number, op_id: Uint8Array) => void,
): Letters {
  const stream = reader.stream(stream_id)
  const found: Finding[] = []
  let count = 0
  let last = after
  const column = (name: string) => reader.column("sturdy_dead_letter", name)
  const rows = reader.iterate<LetterRow>(
    `select seq, op_id, op, ${column("decision")}, ${column("time_decided")}, ${column("retried_op_id")}
     from sturdy_dead_letter where seq > ? and seq < ? order by seq limit ${letters_per_look}`,
    Math.max(after, firstSeq(stream_id)),
    endSeq(stream_id),
  )
  for (const row of rows) {
    count += 1
    last = row.seq
    if (!stream) continue
    found.push(...checkContent(stream, row), ...checkDecision(stream, row), ...checkPlace(reader, stream, row))
    if (row.seq <= stream.pruned_seq) tell(row.seq, row.op_id)
  }
  return { found, count, next: count < letters_per_look ? undefined : last }
}

function checkContent(stream: StreamPlaces, row: LetterRow): Finding[] {
  if (holdsOp(row.op, nameOf(row.op_id))) return []
  const what = `dead letter ${nameOf(row.op_id)} at ${placesText(row.seq, row.seq)} does not hold the op that was sent`
  return [finding("dead_letter_damaged", stream, what, row)]
}

function holdsOp(text: string, op_id: string): boolean {
  try {
    const op = JSON.parse(text) as Partial<WireOp> | null
    return (
      op?.op_id === op_id &&
      typeof op.method === "string" &&
      typeof op.args === "string" &&
      Array.isArray(op.depends_on)
    )
  } catch {
    return false
  }
}

function checkDecision(stream: StreamPlaces, row: LetterRow): Finding[] {
  const { decision, time_decided, retried_op_id } = row
  const isWhole =
    (decision === null) === (time_decided === null) && (decision === "retried") === (retried_op_id !== null)
  if (isWhole && (retried_op_id === null || retried_op_id.length === 16)) return []
  const what = `of dead letter ${nameOf(row.op_id)} it was decided ${decision ?? "nothing"}, and the rest says otherwise`
  return [finding("decision_half", stream, what, row)]
}

function checkPlace(reader: OutboxReader, stream: StreamPlaces, row: LetterRow): Finding[] {
  const { seq, op_id, decision } = row
  const name = nameOf(op_id)
  const op = reader.opAt(seq)
  if (op && nameOf(op.op_id) !== name) {
    const what = `dead letter ${name} stands at the place of op ${nameOf(op.op_id)}`
    return [finding("place_disputed", stream, what, row)]
  }
  const isSuperseded = reader.get("select 1 from sturdy_superseded where seq = ?", seq) !== undefined
  // A decision outlives a server_reset, while its op is pending again.
  const isPending = isOrdered(stream) && seq > stream.cursor && (decision === null || stream.reset_count === 0)
  if (!isSuperseded && !isPending) return []
  const what = `op ${name} is dead, and ${isSuperseded ? "superseded" : "pending"}`
  return [finding("op_in_two_places", stream, what, row)]
}
