/** One batch, its ops drawn as a graph of what depends on what. */
import type { BatchSummary } from "../../inspect/batches.ts"
import type { OpSummary } from "../../inspect/ops.ts"
import { graphLines } from "./op-graph.ts"
import { pad, shortened, widthOf } from "../output/table.ts"
import { printable, terminalWidth, toned } from "../output/terminal.ts"
import { agoText, bytesText, count } from "../output/words.ts"
import { opTone, placesText } from "./op-words.ts"

export function batchLines(batch: BatchSummary, ops: readonly OpSummary[], now: number): string[] {
  const { batch_id, stream, state, time_frozen, time_settled, rejected } = batch
  const settled = time_settled === null ? "not answered yet" : `settled ${agoText(time_settled, now)}`
  const lines = [
    `${toned("strong", `batch ${batch_id}`)}  ${state}`,
    `  ${printable(stream)} ${placesText(batch)}, ${count(batch.ops, "op")}, ${bytesText(batch.bytes)}; frozen ${agoText(time_frozen, now)}, ${settled}${rejected > 0 ? `; ${rejected} rejected` : ""}`,
    "",
  ]
  if (ops.length === 0) return [...lines, "  its ops are not kept any more"]
  return [...lines, ...opRows(ops)]
}

function opRows(ops: readonly OpSummary[]): string[] {
  const places = new Map(ops.map((op) => [op.op_id, op.seq]))
  const graph = graphLines(ops)
  const place_width = Math.max(...ops.map(({ seq }) => String(seq).length)) + 1
  const state_width = Math.max(...ops.map(({ state }) => state.length))
  const rows = ops.map((op, index) => {
    const key = op.key === null ? "" : ` ${printable(op.key)}`
    return {
      head: `  ${unitMark(ops, index)}${graph[index]}  ${`#${op.seq}`.padStart(place_width)}  ${op.op_id}  `,
      state: pad(op.state, state_width),
      tail: `  ${printable(op.method)}${key}${outsideText(op, places)}`,
      op,
    }
  })
  const width = terminalWidth()
  return rows.map(({ head, state, tail, op }) => {
    const room = width === undefined ? Infinity : width - widthOf(head) - widthOf(state)
    return `${head}${opTone(op.state, state)}${shortened(tail, Math.max(0, room))}`.trimEnd()
  })
}

/** A bracket around the ops of one unit. */
function unitMark(ops: readonly OpSummary[], index: number): string {
  if (!ops.some((op) => op.continues)) return ""
  const joinsAbove = ops[index]!.continues
  const joinsBelow = ops[index + 1]?.continues === true
  if (joinsAbove) return joinsBelow ? "│ " : "└ "
  return joinsBelow ? "┌ " : "  "
}

/** What it depends on beyond this batch: the graph cannot draw that. */
function outsideText(op: OpSummary, places: ReadonlyMap<string, number>): string {
  const outside = op.depends_on.filter((op_id) => !places.has(op_id))
  return outside.length === 0 ? "" : `  ← ${outside.join(", ")}`
}
