/** `sturdy status`: does anything stand, and why? One screen, whatever is pending. */
import { type LeaseSummary, readLease } from "../inspect/lease.ts"
import { type OutboxFileSummary, outboxFileSummary, readSchema, type SchemaSummary } from "../inspect/outbox-file.ts"
import { isQuiet, needsPerson, readStatus, type Status, type StreamSummary, totalsOf } from "../inspect/status.ts"
import { version as schema_version } from "../store/migrate.ts"
import packageJson from "../../package.json" with { type: "json" }
import type { Command } from "./input/command.ts"
import { spanOption } from "./input/since.ts"
import { cureOf } from "./text/block-cure.ts"
import { leaseText } from "./text/lease-text.ts"
import { commandLine, optionWords } from "./outbox/command-line.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, type OutboxPlace, placeText } from "./outbox/outbox-place.ts"
import { standingLines } from "./text/standing.ts"
import { streamTable } from "./text/stream-table.ts"
import { wrapped } from "./output/table.ts"
import { print, printJson, terminalWidth, toned } from "./output/terminal.ts"
import { bytesText, count } from "./output/words.ts"

export const status: Command = {
  name: "status",
  summary: "what is pending, what stands, why, and what to do about it",
  usage: `[--max-age T] ${dbUsage} [--json]`,
  help: `
Shows how an outbox stands, on one screen: streams with something pending or wrong, the next attempt, what blocks a
stream and the command that lifts it, dead letters, who flushes, and the file. Only reads: the outbox is not changed, and
a host that has it open is not disturbed. Exit code 3 if a person is needed: for a block, a dead letter, or what is said by

  --max-age T  … an op that waits for longer, e.g. 10m, 2h, 1d: an outage goes by without a person else
${dbHelp}
  --json     {"version","pending","dead","streams":[…],"needs_person","file":{…},"lease":{…},"schema":{…},"sturdy"}`,
  options: { ...dbOption, "max-age": { type: "string" } },
  positionals: 0,
  async run(input) {
    const now = Date.now()
    const age_ms_max = spanOption(status, input, "max-age") ?? Infinity
    const { place, ...view } = lookAtOutbox(input, (db, place) => ({
      place,
      found: readStatus(db),
      lease: readLease(db, now),
      schema: readSchema(db),
      file: outboxFileSummary(place.file),
    }))
    const isLate = ({ time_oldest }: StreamSummary) => time_oldest !== null && now - time_oldest > age_ms_max
    const needs_person = view.found.streams.some((stream) => needsPerson(stream) || isLate(stream))
    const { found, file, lease, schema } = view
    const streams = found.streams.map((stream) => ({ ...stream, ...cureFields(stream, place) }))
    if (input.options.json)
      printJson({ ...found, streams, needs_person, file, lease, schema, sturdy: packageJson.version })
    else for (const line of screen({ place, now, ...view })) print(line)
    return needs_person ? 3 : 0
  },
}

/** For programs: does it need a person, and what would that person do? */
function cureFields(stream: StreamSummary, place: OutboxPlace): { needs_person: boolean; command: string | null } {
  const { block, dead } = stream
  const command = block !== null ? cureOf(block, stream.stream, place).command : undefined
  const decide = dead > 0 ? commandLine(place, "dead", "list", ...optionWords("--stream", stream.stream)) : null
  return { needs_person: needsPerson(stream), command: command ?? decide }
}

interface View {
  place: OutboxPlace
  now: number
  found: Status
  lease: LeaseSummary | null
  schema: SchemaSummary
  file: OutboxFileSummary
}

/** Rows of streams on one screen; `sturdy streams` has them all. */
const rows_max = 12

function screen({ place, now, found, lease, schema, file }: View): string[] {
  const width = terminalWidth()
  const lines = [
    `${toned("quiet", "outbox")}  ${placeText(place)}`,
    `${toned("quiet", "file")}    ${fileText(file, schema, found)}`,
    `${toned("quiet", "lease")}   ${leaseText(lease, now)}`,
  ]
  const active = found.streams.filter((stream) => needsPerson(stream) || !isQuiet(stream)).toSorted(byUrgency)
  const shown = active.slice(0, rows_max)
  if (shown.length > 0) lines.push("", ...streamTable(shown, { now, lease, width }))
  const more = active.length - shown.length
  if (more > 0) lines.push(toned("quiet", `… and ${count(more, "more stream")}: ${commandLine(place, "streams")}`))
  for (const paragraph of standingLines(found.streams, { place, now, width, isSent: lease?.state === "held" }))
    lines.push("", ...paragraph)
  if (file.put_aside.length > 0)
    lines.push(
      "",
      ...wrapped(
        `${count(file.put_aside.length, "damaged file")} kept beside the outbox: ${commandLine(place, "doctor")}`,
        width,
        "",
      ),
    )
  lines.push("", totalText(found, active.length))
  return lines
}

const urgency = (stream: StreamSummary) => (needsPerson(stream) ? 0 : stream.state === "waiting" ? 1 : 2)

function byUrgency(a: StreamSummary, b: StreamSummary): number {
  return urgency(a) - urgency(b) || b.pending - a.pending
}

function fileText({ bytes, wal_bytes }: OutboxFileSummary, schema: SchemaSummary, { streams }: Status): string {
  const wal = wal_bytes > 0 ? ` + ${bytesText(wal_bytes)} -wal` : ""
  const kept = streams.reduce((sum, { retained_ops }) => sum + retained_ops, 0)
  const other = schema.version === schema_version ? "" : ` (this Sturdy has ${schema_version})`
  return `${bytesText(bytes)}${wal}; ${count(kept, "settled op")} kept; schema ${schema.version}${other}, sturdy ${packageJson.version}`
}

function totalText(found: Status, active: number): string {
  const { streams, pending, dead } = found
  const quiet = streams.length - active
  const total = `${pending.toLocaleString("en")} pending, ${dead.toLocaleString("en")} dead, ${count(streams.length, "stream")}${quiet > 0 && active > 0 ? ` (${quiet.toLocaleString("en")} quiet)` : ""}`
  const { in_need } = totalsOf(streams)
  if (in_need === 0) return toned("strong", total)
  return toned("bad", `${total}; ${count(in_need, "stream needs", "streams need")} a person`)
}
