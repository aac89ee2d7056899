/** What stands, once per reason, with the command that does something about it; and what else a person should know. */
import { isQuiet, type StreamSummary } from "../../inspect/status.ts"
import { attemptText } from "./attempt-text.ts"
import { blockText, cureOf, cureOfAll } from "./block-cure.ts"
import { commandLine, optionWords } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { wrapped } from "../output/table.ts"
import { printable, toned } from "../output/terminal.ts"
import { count, durationText, untilText } from "../output/words.ts"

const indent = "  "

interface Showing {
  place: OutboxPlace
  now: number
  /** Some process holds the lease, so it sends. */
  isSent: boolean
  width: number | undefined
}

/** Paragraphs; none where every stream goes its way. */
export function standingLines(streams: readonly StreamSummary[], showing: Showing): string[][] {
  const blocked = Map.groupBy(
    streams.filter(({ block }) => block !== null),
    ({ block, block_message }) => `${block} ${block_message}`,
  )
  const away = Map.groupBy(
    streams.filter(({ block, attempts, last_error }) => block === null && attempts > 0 && last_error !== null),
    ({ service, last_error }) => `${service} ${last_error}`,
  )
  const unsent = streams.filter((stream) => stream.block === null && !isQuiet(stream))
  const dead = streams.filter(({ dead }) => dead > 0)
  const odd = oddLines(streams, showing.width)
  return [
    ...[...blocked.values()].map((group) => blockLines(group, showing)),
    ...[...away.values()].map((group) => awayLines(group, showing)),
    ...(unsent.length > 0 && !showing.isSent ? [unsentLines(unsent, showing)] : []),
    ...(dead.length > 0 ? [deadLines(dead, showing)] : []),
    ...(odd.length > 0 ? [odd] : []),
  ]
}

function blockLines(group: readonly StreamSummary[], { place, now, width }: Showing): string[] {
  const [first] = group
  const { block, block_message, stream } = first!
  const since = Math.min(...group.map(({ time_blocked }) => time_blocked ?? now))
  const probe = Math.min(...group.map(({ next_attempt_at }) => next_attempt_at ?? Infinity))
  const why = `blocked: ${blockText(block!, block_message)}, for ${durationText(now - since)}`
  const { text, command } = group.length === 1 ? cureOf(block!, stream, place) : cureOfAll(block!, stream, place)
  return [
    toned("strong", namesText(group)),
    ...wrapped(why, width, indent).map((line) => toned("bad", line)),
    ...wrapped(text, width, indent),
    ...(command === undefined ? [] : [commandText(command)]),
    ...(probe === Infinity ? [] : wrapped(`looked at again ${untilText(probe, now)}`, width, indent)),
  ]
}

/** What passes by itself: whose fault it is, and where to look closer. */
function awayLines(group: readonly StreamSummary[], { place, now, width, isSent }: Showing): string[] {
  const { service, last_error } = group[0]!
  const since = Math.min(...group.map(({ time_oldest }) => time_oldest ?? now))
  const next = Math.min(...group.map(({ next_attempt_at }) => next_attempt_at ?? now))
  const then = isSent ? `; tried again ${untilText(next, now)}. It goes on by itself, nothing` : ". Nothing"
  const text = `${count(group.length, "stream waits", "streams wait")}, the oldest op for ${durationText(now - since)}: ${printable(service)} ${attemptText(last_error!)}${then} is lost; to look closer:`
  return [...wrapped(text, width, ""), commandText(commandLine(place, "doctor"))]
}

function unsentLines(streams: readonly StreamSummary[], { place, now, width }: Showing): string[] {
  // The backoff, and what a service asked for, hold for whoever sends.
  const soonest = Math.min(...streams.map(({ next_attempt_at }) => next_attempt_at ?? now))
  const text = `No process sends what ${count(streams.length, "stream has", "streams have")} pending: the program that records does when it runs, or by hand ${untilText(soonest, now)}:`
  return [...wrapped(text, width, ""), commandText(commandLine(place, "flush"))]
}

function deadLines(streams: readonly StreamSummary[], { place, width }: Showing): string[] {
  const dead = streams.reduce((sum, stream) => sum + stream.dead, 0)
  const only = streams.length === 1 ? optionWords("--stream", streams[0]!.stream) : []
  const text = `${count(dead, "dead letter")}: rejected by the service for good, kept until you decide`
  return [
    toned("strong", namesText(streams)),
    ...wrapped(text, width, indent).map((line) => toned("bad", line)),
    commandText(commandLine(place, "dead", "list", ...only)),
  ]
}

function oddLines(streams: readonly StreamSummary[], width: number | undefined): string[] {
  const sum = (field: "twins" | "server_resets") => streams.reduce((total, stream) => total + stream[field], 0)
  const odd: string[] = []
  if (sum("twins") > 0)
    odd.push(`${count(sum("twins"), "twin")} met: this outbox was restored or copied; needs no person`)
  if (sum("server_resets") > 0)
    odd.push(
      `${count(sum("server_resets"), "server reset")}: a service had lost what it acknowledged; it was sent again`,
    )
  const owing = streams.filter(({ resync_owed }) => resync_owed !== null)
  if (owing.length > 0) odd.push(`the host's resync hook is still to be told of ${namesText(owing)}`)
  return odd.flatMap((line) => wrapped(line, width, ""))
}

const names_max = 3

function namesText(streams: readonly StreamSummary[]): string {
  const names = streams.slice(0, names_max).map(({ stream }) => printable(stream))
  const more = streams.length - names.length
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ")
}

/** Never wrapped: it is to be pasted. */
function commandText(command: string): string {
  return `${indent}${indent}${toned("strong", command)}`
}
