/**
 * The run as it happens. On a terminal a picture of lanes over time, redrawn in place: who is down, what goes wrong, and
 * how many ops wait in the outbox. Elsewhere a line per fault.
 */
import { type Fault, faultKinds, type Lane } from "./fault-plan.ts"
import type { Paint, Screen } from "./paint.ts"

type Cell = "fine" | "down" | "fault" | "kill"

const lanes: Lane[] = ["service", "client", "network"]
const marks: Record<Cell, string> = { fine: "━", down: "╌", fault: "●", kill: "╳" }
const rank: Cell[] = ["fine", "down", "fault", "kill"]
const legend = `${marks.kill} SIGKILL  ${marks.down} down  ${marks.fault} answer lost, cut, 503 or doubled`
const levels = "▁▂▃▄▅▆▇█"
const label_width = 11
const note_width = 15
const redraw_ms = 50

export class Picture {
  readonly #width: number
  readonly #cells: Record<Lane, Cell[]> = { service: [], client: [], network: [] }
  readonly #down: Record<Lane, boolean> = { service: false, client: false, network: false }
  readonly #counts: Record<Lane, number> = { service: 0, client: 0, network: 0 }
  readonly #waiting: number[] = []
  #column = 0
  #note = ""
  #lines = 0
  #drawn_at = 0

  constructor(
    readonly out: Screen,
    readonly paint: Paint,
  ) {
    const columns = out.isTTY ? (out.columns ?? 80) : 0
    this.#width = columns < 60 ? 0 : Math.min(columns, 80) - label_width - note_width
    if (this.#width > 0) out.write("\u001b[?25l")
  }

  /** `done` from 0 to 1. */
  progress(done: number, waiting: number, events: string): void {
    if (this.#width === 0) return
    const column = Math.min(Math.floor(done * this.#width), this.#width - 1)
    for (; this.#column <= column; this.#column++) {
      this.#waiting[this.#column] = Math.max(this.#waiting[this.#column] ?? 0, waiting)
      for (const lane of lanes) this.#mark(lane, this.#down[lane] ? "down" : "fine")
    }
    this.#column = column
    if (Date.now() - this.#drawn_at >= redraw_ms) this.#draw(events)
  }

  /** A fault begins now. */
  fault(fault: Fault, at_ms: number): void {
    const { lane, text } = faultKinds[fault.kind]
    this.#counts[lane] += 1
    this.#note = `${(at_ms / 1000).toFixed(1).padStart(4)} s  ${text}`
    const kill = fault.kind === "service_killed" || fault.kind === "client_killed"
    this.#mark(lane, kill ? "kill" : fault.kind === "refused" ? "down" : "fault")
    if (this.#width === 0) this.out.write(`  ${this.#note}\n`)
  }

  down(lane: Lane, isDown: boolean): void {
    this.#down[lane] = isDown
  }

  /** Leaves the picture as it is, and the cursor below it. */
  end(note: string): void {
    if (this.#width === 0) return
    this.#note = ""
    this.#draw(note)
    this.restore()
  }

  restore(): void {
    if (this.#width > 0) this.out.write("\u001b[?25h")
  }

  #mark(lane: Lane, cell: Cell): void {
    const known = this.#cells[lane][this.#column] ?? "fine"
    this.#cells[lane][this.#column] = rank.indexOf(cell) > rank.indexOf(known) ? cell : known
  }

  #draw(events: string): void {
    const { bold, dim } = this.paint
    const rows = lanes.map((lane) => this.#row(lane, this.#laneText(lane), this.#countOf(lane)))
    const top = Math.max(...this.#waiting, 1)
    const text = [
      ...rows,
      this.#row("waiting", this.#waitingText(top), top > 1 ? `up to ${top} ops` : ""),
      dim(this.#row("", legend, "")),
      "",
      `  ${bold(events)}${dim(this.#note && `  ${this.#note}`)}`,
    ]
    const back = this.#lines > 0 ? `\u001b[${this.#lines}F` : ""
    this.out.write(back + text.map((line) => `\u001b[2K${line}\n`).join(""))
    this.#lines = text.length
    this.#drawn_at = Date.now()
  }

  #row(label: string, cells: string, note: string): string {
    return `  ${label.padEnd(label_width - 2)}${cells} ${this.paint.dim(note)}`
  }

  #countOf(lane: Lane): string {
    const count = this.#counts[lane]
    const noun = lane === "network" ? "fault" : "kill"
    return count === 0 ? "" : `${count} ${noun}${count === 1 ? "" : "s"}`
  }

  #laneText(lane: Lane): string {
    const { dim, green, red } = this.paint
    const played = this.#cells[lane].map((cell) => (cell === "fine" ? green(marks.fine) : red(marks[cell])))
    return played.join("") + dim("─".repeat(this.#width - played.length))
  }

  #waitingText(top: number): string {
    const bars = this.#waiting.map((ops) => (ops === 0 ? " " : levels[Math.ceil((levels.length * ops) / top) - 1]!))
    return this.paint.cyan(bars.join("")) + " ".repeat(this.#width - bars.length)
  }
}
