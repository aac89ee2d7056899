/** One op in words. */
import type { BatchSummary } from "../../inspect/batches.ts"
import type { OpDetail, Related } from "../../inspect/op.ts"
import { placesText } from "../batches.ts"
import { opTone } from "../ops.ts"
import { commandLine, type OutboxPlace } from "../outbox/outbox-place.ts"
import { payloadText } from "../output/payload.ts"
import { wrapped } from "../output/table.ts"
import { printable, terminalWidth, toned } from "../output/terminal.ts"
import { agoText, bytesText, count, timeText, untilText } from "../output/words.ts"

export interface ShownOp extends OpDetail {
  batch: BatchSummary | null
  /** Of its stream. */
  standing: {
    /** Places between the cursor and the op. */
    ahead: number
    attempts: number
    next_attempt_at: number | null
    last_error: string | null
    block: string | null
    block_message: string | null
  }
}

interface Showing {
  now: number
  full: boolean
  place: OutboxPlace
}

export function opLines(op: ShownOp, showing: Showing): string[] {
  const { now, full } = showing
  const lines = [`${toned("strong", `op ${op.op_id}`)}  ${opTone(op.state, op.state)}`]
  const field = (name: string, text: string) => lines.push(`  ${toned("quiet", name.padEnd(11))}${text}`)
  field("stream", `${printable(op.stream)}, place #${op.seq}`)
  for (const why of whyLines(op, now)) field("why", why)
  const { call } = op
  if (call) {
    const target = call.target ? `, on the result of ${call.target.join(".")}` : ""
    field(
      "method",
      `${printable(call.method)}${call.schema_version === 1 ? "" : ` (version ${call.schema_version})`}${printable(target)}`,
    )
    if (call.key !== null) field("key", printable(call.key))
    if (call.actor_id !== null) field("actor", printable(call.actor_id))
    field("recorded", `${timeText(call.time_created)} (${agoText(call.time_created, now)})`)
    field("arguments", `${bytesText(Buffer.byteLength(call.args))}: ${payloadText(call.args, full)}`)
  }
  if (op.result !== null) field("result", payloadText(op.result, full))
  field("batch", batchText(op))
  if (op.unit) field("unit", `${placesText(op.unit)}: decided together`)
  if (op.supersedes.length > 0) field("replaces", op.supersedes.join(", "))
  lines.push(...relatedLines("depends on", op.depends_on), ...relatedLines("needed by", op.dependents))
  return [...lines, ...deadEnd(op, showing)]
}

/** Why it is where it is. */
function whyLines({ state, standing, rejection, superseded_by }: ShownOp, now: number): string[] {
  if (rejection && state === "failed") {
    const { code, message, time_rejected, decision, time_decided, retried_op_id } = rejection
    const lines = [`rejected by the service ${agoText(time_rejected, now)}: ${printable(`${code}, ${message}`)}`]
    const when = time_decided === null ? "" : ` ${agoText(time_decided, now)}`
    if (decision === "retried") lines.push(`recorded again as ${retried_op_id}${when}`)
    if (decision === "discarded") lines.push(`given up by a person, or the host,${when}`)
    return lines
  }
  if (state === "superseded")
    return [
      superseded_by === null ? "a newer op of its key stands for it at the service" : `replaced by ${superseded_by}`,
    ]
  if (state === "discarded")
    return ["its share was removed before it was settled; what the service had of it is not known"]
  if (state === "acked") return ["the service has decided it: applied"]
  const { ahead, block, block_message, attempts, last_error, next_attempt_at } = standing
  const lines = [
    `${state === "in_flight" ? "frozen: sent, or about to be, and not settled" : "not sent yet"}; ${count(ahead, "place")} before it in its stream`,
  ]
  if (block !== null) lines.push(`the stream is blocked: ${printable(`${block} (${block_message ?? ""})`)}`)
  else if (last_error !== null) lines.push(`${count(attempts, "failed attempt")}, the last: ${printable(last_error)}`)
  if (next_attempt_at !== null) lines.push(`next attempt ${untilText(next_attempt_at, now)}`)
  return lines
}

function batchText({ batch, state }: ShownOp): string {
  if (!batch) return state === "pending" ? "not sealed into one yet" : "not kept any more"
  return `${batch.batch_id}, ${placesText(batch)} (${count(batch.ops, "op")}, ${bytesText(batch.bytes)})`
}

function relatedLines(title: string, related: readonly Related[]): string[] {
  return related.map(({ op_id, seq, method, state }, index) => {
    const name = index === 0 ? title : ""
    const what =
      state === null ? "not known here (any more)" : `${opTone(state, state)}  #${seq}  ${printable(method ?? "")}`
    return `  ${toned("quiet", name.padEnd(11))}${op_id}  ${what}`.trimEnd()
  })
}

function deadEnd({ op_id, rejection }: ShownOp, { place }: Showing): string[] {
  if (!rejection || rejection.decision !== null) return []
  return [
    "",
    ...wrapped(
      "It is kept until you decide. Record it again, with what depends on it, or give it up:",
      terminalWidth(),
      "",
    ),
    `    ${toned("strong", commandLine(place, "dead", "retry", op_id))}`,
    `    ${toned("strong", commandLine(place, "dead", "discard", op_id))}`,
  ]
}
