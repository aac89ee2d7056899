/** What a stream has to say beside its row: why it stands, what was refused, and the commands that do something about it. */
import type { StreamSummary } from "../inspect/status.ts"
import { cureOf } from "./block-cure.ts"
import { commandLine, type OutboxPlace } from "./outbox-place.ts"
import { wrapped } from "./table.ts"
import { printable, toned } from "./terminal.ts"
import { agoText, count, untilText } from "./words.ts"

const indent = "  "

/** Nothing for a stream that goes its way. */
export function standingLines(
  stream: StreamSummary,
  place: OutboxPlace,
  now: number,
  width: number | undefined,
): string[] {
  const facts = [
    ...blockLines(stream, place, now, width),
    ...retryLines(stream, now, width),
    ...deadLines(stream, place),
    ...oddLines(stream, width),
  ]
  return facts.length > 0 ? [toned("strong", printable(stream.stream)), ...facts] : []
}

function blockLines(stream: StreamSummary, place: OutboxPlace, now: number, width: number | undefined): string[] {
  const { block, block_message, time_blocked, next_attempt_at } = stream
  if (block === null) return []
  const since = time_blocked === null ? "" : `, since ${agoText(time_blocked, now)}`
  const why = `blocked: ${block}${block_message ? ` (${printable(block_message)})` : ""}${since}`
  const { text, command } = cureOf(block, stream.stream, place)
  const again =
    next_attempt_at === null ? [] : wrapped(`looked at again ${untilText(next_attempt_at, now)}`, width, indent)
  return [
    ...wrapped(why, width, indent).map((line) => toned("bad", line)),
    ...wrapped(text, width, indent),
    ...(command === undefined ? [] : [commandText(command)]),
    ...again,
  ]
}

function retryLines(
  { block, attempts, last_error, next_attempt_at, pending }: StreamSummary,
  now: number,
  width: number | undefined,
): string[] {
  if (block !== null) return []
  const next = next_attempt_at === null ? "" : `; next ${untilText(next_attempt_at, now)}`
  if (last_error !== null && attempts > 0)
    return wrapped(`${count(attempts, "failed attempt")}, the last: ${printable(last_error)}${next}`, width, indent)
  if (next_attempt_at !== null && pending > 0)
    return wrapped(`the service, or a gateway before it, asked to wait${next}`, width, indent)
  return []
}

function deadLines({ dead, stream }: StreamSummary, place: OutboxPlace): string[] {
  if (dead === 0) return []
  return [
    toned("bad", `${indent}${count(dead, "dead letter")}: refused by the service for good, kept until you decide`),
    commandText(commandLine(place, "dead", "list", "--stream", stream)),
  ]
}

function oddLines({ twins, server_resets, resync_owed }: StreamSummary, width: number | undefined): string[] {
  const odd: string[] = []
  if (twins > 0) odd.push(`${count(twins, "twin")}: this outbox, or a copy of it, was restored or copied; handled`)
  if (server_resets > 0)
    odd.push(`${count(server_resets, "server reset")}: the service lost what it had acknowledged; sent again`)
  if (resync_owed !== null) odd.push(`the host's resync hook is to be told: ${resync_owed}`)
  return odd.flatMap((line) => wrapped(line, width, indent))
}

/** Never wrapped: it is to be pasted. */
function commandText(command: string): string {
  return `${indent}${indent}${toned("strong", command)}`
}
