/** The live view as lines of a screen. Pure: what was seen and a size in, lines out. */
import type { Look } from "../../inspect/look.ts"
import { needsPerson, type StreamSummary, totalsOf } from "../../inspect/status.ts"
import { type Depth, rateText, sparkline } from "./depth.ts"
import { leaseText } from "../text/lease-text.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace, placeText } from "../outbox/outbox-place.ts"
import type { Recent } from "./recent.ts"
import { streamTable } from "../text/stream-table.ts"
import { shortened, widthOf, wrapped } from "../output/table.ts"
import { printable, toned, type Tone } from "../output/terminal.ts"
import { clockText, count } from "../output/words.ts"

export interface WatchView {
  place: OutboxPlace
  now: number
  /** The last one that could be read. */
  look: Look
  /** Why the outbox cannot be read now. */
  trouble: string | undefined
  depth: Depth
  recent: Recent
  /** When something happened in a stream last. */
  active: ReadonlyMap<string, number>
}

export interface Size {
  columns: number
  rows: number
}

/** A stream stays at the top for so long after something happened in it, ms. */
const active_ms = 30_000
/** Streams that need a person and are named with their reason. */
const reasons_max = 3
/** Below so many rows there is no room for what happened. */
const rows_for_recent = 12

/** No more lines than rows, none wider than the columns. */
export function screenLines(view: WatchView, { columns, rows }: Size): string[] {
  const head = headLines(view, columns)
  const room = rows - head.length
  const streams = rankedStreams(view)
  const recent_min = rows >= rows_for_recent ? 2 + Math.floor(room / 3) : 0
  const table = tableOf(view, streams, Math.min(room - 1 - recent_min, streams.length + 1), columns)
  const body = [...head, "", ...table]
  const recent = rows >= rows_for_recent ? recentLines(view, rows - body.length - 2, columns) : []
  return [...body, ...(recent.length > 0 ? ["", ...recent] : [])].slice(0, Math.max(1, rows))
}

function headLines({ place, now, look, trouble, depth }: WatchView, columns: number): string[] {
  const { pending, dead, in_need } = totalsOf(look.streams)
  const ops = `${pending.toLocaleString("en")} pending, ${dead.toLocaleString("en")} dead`
  const { recorded, settled, posts } = depth.rates
  const rates = `recorded ${rateText(recorded)}, settled ${rateText(settled)}, POSTs ${rateText(posts)}`
  const names = look.streams.filter(needsPerson).slice(0, reasons_max).map(standText)
  const more = in_need > reasons_max ? ["…"] : []
  const person = `${count(in_need, "stream needs", "streams need")} a person: ${[...names, ...more].join(", ")}. See ${commandLine(place, "status")}`
  return [
    titleLine(placeText(place), `q ends  ${clockText(now)}`, columns),
    labelled("lease", leaseText(look.lease, now), columns),
    depthLine(labelled("ops", ops, columns), depth.pending, columns),
    labelled("rate", rates, columns),
    ...(trouble === undefined ? [] : alert(trouble, columns)),
    ...(in_need === 0 ? [] : alert(person, columns)),
  ]
}

/** On two lines at most. */
function alert(text: string, columns: number): string[] {
  const [first, ...rest] = wrapped(text, columns, "")
  return [first!, ...(rest.length > 0 ? [rest.join(" ")] : [])].map((line) => cut(line, columns, "bad"))
}

function standText({ stream, block, dead }: StreamSummary): string {
  const why = [
    ...(block === null ? [] : [printable(block)]),
    ...(dead > 0 ? [`${dead.toLocaleString("en")} dead`] : []),
  ]
  return `${shortened(printable(stream), 20, true)} (${why.join(", ")})`
}

function titleLine(left: string, right: string, columns: number): string {
  const room = columns - widthOf(right) - 2
  if (room < 10) return cut(left, columns, "strong")
  const shown = shortened(left, room, true)
  return `${toned("strong", shown)}${" ".repeat(columns - widthOf(shown) - widthOf(right))}${toned("quiet", right)}`
}

function labelled(label: string, text: string, columns: number): string {
  return `${toned("quiet", label.padEnd(6))} ${shortened(text, Math.max(0, columns - 7))}`
}

function depthLine(line: string, pending: readonly number[], columns: number): string {
  const used = widthOf(line)
  // Wider as it grows, the text must not push it to and fro.
  const from = Math.max(32, used + 2)
  const room = columns - from
  if (room < 8) return line
  return `${line}${" ".repeat(from - used)}${toned("good", sparkline(pending, room))}`
}

/** Those that need a person, then those in which something happens, in the order in which they were opened. */
function rankedStreams({ look, active, now }: WatchView): StreamSummary[] {
  const rank = (stream: StreamSummary) => {
    if (needsPerson(stream)) return 0
    if (stream.state === "removed") return 3
    const isActive = stream.state !== "idle" || (active.get(stream.stream) ?? -Infinity) > now - active_ms
    return isActive ? 1 : 2
  }
  return look.streams.toSorted((a, b) => rank(a) - rank(b))
}

function tableOf({ now, look }: WatchView, streams: readonly StreamSummary[], rows: number, columns: number): string[] {
  if (rows < 2) return []
  if (streams.length === 0) return [toned("quiet", "no streams yet")]
  const isCut = streams.length + 1 > rows
  const canTell = isCut && rows > 2
  const shown = streams.slice(0, canTell ? rows - 2 : rows - 1)
  const rest = streams.length - shown.length
  const more = canTell ? [cut(`… and ${count(rest, "more stream")}`, columns, "quiet")] : []
  return [...streamTable(shown, { now, lease: look.lease, width: columns }), ...more]
}

function recentLines({ recent }: WatchView, max: number, columns: number): string[] {
  const lines = recent.lines(Math.max(0, max))
  if (lines.length === 0) return [toned("quiet", "nothing happened yet")]
  return [
    toned("quiet", "RECENT"),
    ...lines.map(({ time, text, tone }) => {
      const shown = shortened(text, Math.max(0, columns - 10))
      return `${toned("quiet", clockText(time))}  ${tone ? toned(tone, shown) : shown}`
    }),
  ]
}

function cut(text: string, columns: number, tone: Tone): string {
  return toned(tone, shortened(text, columns))
}
