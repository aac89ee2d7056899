/** Streams as rows: the same in `status`, `streams` and `watch`. */
import { needsPerson, type StreamSummary } from "../inspect/status.ts"
import { type Column, tableLines } from "./table.ts"
import { printable, toned } from "./terminal.ts"
import { agoText, durationText, untilText } from "./words.ts"

export function streamTable(streams: readonly StreamSummary[], now: number, width: number | undefined): string[] {
  const [title, ...rows] = tableLines(streams, columnsAt(now), width)
  return [toned("quiet", title!), ...rows]
}

const columnsAt = (now: number): Column<StreamSummary>[] => [
  { title: "STREAM", text: (row) => printable(row.stream), shrink: 12, middle: true },
  { title: "STATE", text: (row) => row.state, tone: stateTone },
  { title: "PENDING", text: (row) => row.pending.toLocaleString("en"), align: "right" },
  { title: "OLDEST", text: (row) => ageText(row.time_oldest, now), align: "right", drop: 3 },
  {
    title: "DEAD",
    text: (row) => (row.dead ? row.dead.toLocaleString("en") : "-"),
    align: "right",
    tone: (row, cell) => (row.dead > 0 ? toned("bad", cell) : cell),
  },
  { title: "CURSOR", text: cursorText, align: "right", drop: 5 },
  { title: "LAST ACK", text: (row) => (row.time_last_ack === null ? "-" : agoText(row.time_last_ack, now)), drop: 4 },
  { title: "TRIES", text: (row) => (row.attempts ? String(row.attempts) : "-"), align: "right", drop: 6 },
  { title: "NEXT", text: (row) => nextText(row, now), drop: 2 },
]

function stateTone(row: StreamSummary, cell: string): string {
  if (row.block !== null || needsPerson(row)) return toned("bad", cell)
  if (row.state === "waiting") return toned("warning", cell)
  return row.state === "pending" || row.state === "removing" ? cell : toned("quiet", cell)
}

const ageText = (at: number | null, now: number) => (at === null ? "-" : durationText(Math.max(0, now - at)))

/** Settled of what was recorded, by place. */
function cursorText({ cursor, recorded }: StreamSummary): string {
  return `${cursor.toLocaleString("en")}/${recorded.toLocaleString("en")}`
}

export function nextText(row: StreamSummary, now: number): string {
  const { state, block, next_attempt_at } = row
  if (state === "idle" || state === "removed") return "-"
  if (next_attempt_at !== null) return untilText(next_attempt_at, now)
  return block === null ? "when flushed" : "never by itself"
}
