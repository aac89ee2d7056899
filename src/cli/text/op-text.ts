/** One op in words. */
import type { OpDetail, Related } from "../../inspect/op.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { payloadText } from "../output/payload.ts"
import { wrapped } from "../output/table.ts"
import { printable, terminalWidth, toned } from "../output/terminal.ts"
import { agoText, bytesText, count, timeText, untilText } from "../output/words.ts"
import { blockText } from "./block-cure.ts"
import { opTone, placesText } from "./op-words.ts"

interface Showing {
  now: number
  full: boolean
  place: OutboxPlace
}

export function opLines(op: OpDetail, showing: Showing): string[] {
  const { now, full } = showing
  const { key, actor_id, time_created, args, bytes, result, unit, supersedes } = op
  const lines = [`${toned("strong", `op ${op.op_id}`)}  ${opTone(op.state, op.state)}`]
  const field = (name: string, text: string | null) => {
    if (text !== null) lines.push(`  ${toned("quiet", name.padEnd(11))}${text}`)
  }
  field("stream", `${printable(op.stream)}, place #${op.seq}`)
  for (const why of whyLines(op, now)) field("why", why)
  field("method", methodText(op))
  field("key", key === null ? null : printable(key))
  field("actor", actor_id === null ? null : printable(actor_id))
  field("recorded", time_created === null ? null : `${timeText(time_created)} (${agoText(time_created, now)})`)
  field("arguments", args === null ? null : `${bytesText(bytes)}: ${payloadText(args, full)}`)
  field("result", result === null ? null : payloadText(result, full))
  field("batch", batchText(op))
  field("unit", unit === null ? null : `${placesText(unit)}: decided together`)
  field("replaces", supersedes.length === 0 ? null : supersedes.join(", "))
  lines.push(...relatedLines("depends on", op.dependencies), ...relatedLines("needed by", op.dependents))
  return [...lines, ...deadEnd(op, showing)]
}

/** Null once only the note of its replacement is left. */
function methodText({ method, schema_version, target }: OpDetail): string | null {
  if (method === null) return null
  const version = schema_version === 1 ? "" : ` (version ${schema_version})`
  return printable(`${method}${version}${target ? `, on the result of ${target.join(".")}` : ""}`)
}

/** Why it is where it is. */
function whyLines({ state, standing, rejection, superseded_by }: OpDetail, now: number): string[] {
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
  if (block !== null) lines.push(`the stream is blocked: ${blockText(block, block_message)}`)
  else if (last_error !== null) lines.push(`${count(attempts, "failed attempt")}, the last: ${printable(last_error)}`)
  if (next_attempt_at !== null) lines.push(`next attempt ${untilText(next_attempt_at, now)}`)
  return lines
}

function batchText({ batch, state }: OpDetail): string {
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

function deadEnd({ op_id, rejection }: OpDetail, { place }: Showing): string[] {
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
