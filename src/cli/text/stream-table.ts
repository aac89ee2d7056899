/** Streams as rows: the same in `status`, `streams` and `watch`. */
import type { LeaseSummary } from "../../inspect/lease.ts"
import { isQuiet, needsPerson, type StreamSummary } from "../../inspect/status.ts"
import { type Column, tableLines } from "../output/table.ts"
import { printable, toned } from "../output/terminal.ts"
import { ageText, agoText, untilText } from "../output/words.ts"

interface Showing {
  now: number
  /** Of the outbox: who holds it sends. */
  lease: LeaseSummary | null
  width: number | undefined
}

export function streamTable(streams: readonly StreamSummary[], showing: Showing): string[] {
  return tableLines(streams, columnsOf(showing), showing.width)
}

const columnsOf = ({ now, lease }: Showing): Column<StreamSummary>[] => [
  { title: "STREAM", text: (row) => printable(row.stream), shrink: 14, middle: true },
  { title: "STATE", text: (row) => row.state, tone: stateTone },
  { title: "PENDING", text: (row) => row.pending.toLocaleString("en"), align: "right" },
  {
    title: "OLDEST",
    text: (row) => (row.time_oldest === null ? "-" : ageText(row.time_oldest, now)),
    align: "right",
    drop: 3,
  },
  {
    title: "DEAD",
    text: (row) => (row.dead ? row.dead.toLocaleString("en") : "-"),
    align: "right",
    tone: (row, cell) => (row.dead > 0 ? toned("bad", cell) : cell),
  },
  { title: "CURSOR", text: cursorText, align: "right", drop: 6 },
  { title: "LAST ACK", text: (row) => (row.time_last_ack === null ? "-" : agoText(row.time_last_ack, now)), drop: 5 },
  { title: "TRIES", text: (row) => (row.attempts ? String(row.attempts) : "-"), align: "right", drop: 4 },
  { title: "NEXT", text: (row) => nextText(row, now, lease), drop: 2 },
  { title: "WHY", text: whyText, tone: whyTone, shrink: 8, drop: 1 },
]

function stateTone(row: StreamSummary, cell: string): string {
  if (needsPerson(row)) return toned("bad", cell)
  if (row.state === "waiting") return toned("warning", cell)
  return row.state === "pending" || row.state === "removing" ? cell : toned("quiet", cell)
}

/** Settled of what was recorded, by place. */
function cursorText({ cursor, recorded }: StreamSummary): string {
  return `${cursor.toLocaleString("en")}/${recorded.toLocaleString("en")}`
}

function nextText({ state, block, next_attempt_at }: StreamSummary, now: number, lease: LeaseSummary | null): string {
  if (isQuiet({ state })) return "-"
  // Without a holder of the lease nobody keeps to that time.
  if (next_attempt_at !== null && (block !== null || lease?.state === "held")) return untilText(next_attempt_at, now)
  if (block !== null) return "never by itself"
  return lease?.state === "held" ? "being sent" : "when flushed"
}

/** What the last attempt met. */
function whyText({ block, last_error, attempts, next_attempt_at, pending }: StreamSummary): string {
  if (block !== null) return block
  if (attempts > 0 && last_error !== null) return printable(last_error)
  return next_attempt_at !== null && pending > 0 ? "asked to wait" : "-"
}

function whyTone(row: StreamSummary, cell: string): string {
  return row.block === null ? cell : toned("bad", cell)
}
