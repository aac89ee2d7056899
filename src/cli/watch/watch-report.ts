/** What is said of each look: drawn in place, a line per change, or JSON. */
import type { SturdyError } from "../../intent/error.ts"
import type { Change } from "../../inspect/changes.ts"
import type { Look } from "../../inspect/look.ts"
import { isQuiet, needsPerson, totalsOf } from "../../inspect/status.ts"
import { changeTone, lineOf } from "./change-text.ts"
import { Depth } from "./depth.ts"
import { leaseText } from "../text/lease-text.ts"
import { LiveTerminal } from "./live-terminal.ts"
import { type OutboxPlace, placeText } from "../outbox/outbox-place.ts"
import { Recent } from "./recent.ts"
import { print, printable, printJson, toned, type Tone } from "../output/terminal.ts"
import { isSummedUp, trafficOf, trafficText } from "./traffic.ts"
import { screenLines, type WatchView } from "./watch-screen.ts"
import { count, durationText, timeText } from "../output/words.ts"

export interface WatchReport extends Disposable {
  /** `changes` since the look before; the first one has none. */
  seen(look: Look, changes: readonly Change[]): void
  /** The outbox cannot be read now. `isNews`: for another reason than at the look before. */
  lost(fault: SturdyError, time: number, isNews: boolean): void
  /** It can again. */
  found(time: number): void
}

export function totalText(look: Look): string {
  const { pending, dead } = totalsOf(look.streams)
  return `${pending.toLocaleString("en")} pending, ${dead.toLocaleString("en")} dead, ${count(look.streams.length, "stream")}`
}

const foundText = "the outbox can be read again"
const lostText = ({ message, hint }: SturdyError) => printable(`${message}. ${hint}`)

export class LinesReport implements WatchReport {
  #isFirst = true

  seen(look: Look, changes: readonly Change[]): void {
    for (const change of changes)
      if (!isSummedUp(change)) this.#line(look.time, lineOf(change, look.time), changeTone(change))
    // A line per stream, so that one of them can be looked for.
    for (const [stream, flow] of trafficOf(changes)) this.#line(look.time, trafficText(new Map([[stream, flow]])))
    if (this.#isFirst || changes.some(({ type }) => type === "replaced")) this.#standing(look)
    this.#isFirst = false
  }

  lost(fault: SturdyError, time: number, isNews: boolean): void {
    if (isNews) this.#line(time, lostText(fault), "bad")
  }

  found(time: number): void {
    this.#line(time, foundText, "good")
  }

  [Symbol.dispose](): void {}

  #standing(look: Look): void {
    const { time, streams, lease } = look
    this.#line(time, `${totalText(look)}; lease ${leaseText(lease, time)}`)
    for (const stream of streams.filter((stream) => needsPerson(stream) || !isQuiet(stream))) {
      const { block, pending, dead, state } = stream
      const why = block === null ? "" : `: ${printable(block)}`
      const left = `${count(pending, "op")} pending${dead > 0 ? `, ${count(dead, "dead letter")}` : ""}`
      this.#line(
        time,
        `${printable(stream.stream)}  ${state === "pending" ? "" : `${state}${why}, `}${left}`,
        needsPerson(stream) ? "bad" : undefined,
      )
    }
  }

  #line(time: number, text: string, tone?: Tone): void {
    print(`${toned("quiet", timeText(time))}  ${tone ? toned(tone, text) : text}`)
  }
}

export class JsonReport implements WatchReport {
  readonly #depth = new Depth()
  #told = new Map<string, string>()

  seen(look: Look, changes: readonly Change[]): void {
    const { time, streams, lease } = look
    for (const change of changes) printJson({ version: 1, time, ...change })
    this.#depth.add(look, changes)
    const { recorded, settled, posts } = this.#depth.rates
    const { pending, dead, in_need } = totalsOf(look.streams)
    const before = this.#told
    this.#told = new Map(streams.map((stream) => [stream.stream, JSON.stringify(stream)]))
    printJson({
      version: 1,
      time,
      type: "look",
      pending,
      dead,
      recorded_per_s: rounded(recorded),
      settled_per_s: rounded(settled),
      posts_per_s: rounded(posts),
      needs_person: in_need > 0,
      lease,
      streams: streams.filter(({ stream }) => before.get(stream) !== this.#told.get(stream)),
    })
  }

  lost({ code, message }: SturdyError, time: number): void {
    printJson({ version: 1, time, type: "lost", code, message })
  }

  found(time: number): void {
    printJson({ version: 1, time, type: "found" })
  }

  [Symbol.dispose](): void {}
}

const rounded = (rate: number) => Math.round(rate * 1_000) / 1_000

export class ScreenReport implements WatchReport {
  readonly #place: OutboxPlace
  readonly #terminal: LiveTerminal
  readonly #depth = new Depth()
  readonly #recent = new Recent()
  readonly #active = new Map<string, number>()
  #look: Look | undefined
  #trouble: string | undefined
  #since = 0

  constructor(place: OutboxPlace, end: () => void) {
    this.#place = place
    this.#terminal = new LiveTerminal({ end, redraw: () => this.#draw() })
  }

  seen(look: Look, changes: readonly Change[]): void {
    this.#since ||= look.time
    this.#look = look
    this.#depth.add(look, changes)
    this.#recent.add(look.time, changes)
    for (const change of changes) if ("stream" in change) this.#active.set(change.stream, look.time)
    this.#draw()
  }

  lost(fault: SturdyError, time: number, isNews: boolean): void {
    this.#trouble = lostText(fault)
    if (isNews) this.#recent.say(time, printable(fault.message), "bad")
    this.#draw()
  }

  found(time: number): void {
    this.#trouble = undefined
    this.#recent.say(time, foundText, "good")
  }

  /** The screen goes; a line of what was seen stays. */
  [Symbol.dispose](): void {
    this.#terminal[Symbol.dispose]()
    if (!this.#look) return
    const { recorded, settled } = this.#depth.totals
    const pending = this.#depth.pending.at(-1) ?? 0
    const time = durationText(this.#look.time - this.#since)
    print(
      `${placeText(this.#place)}: recorded ${count(recorded, "op")} and settled ${settled.toLocaleString("en")} in ${time}; ${pending.toLocaleString("en")} pending`,
    )
  }

  #draw(): void {
    if (!this.#look) return
    const view: WatchView = {
      place: this.#place,
      now: Date.now(),
      look: this.#look,
      trouble: this.#trouble,
      depth: this.#depth,
      recent: this.#recent,
      active: this.#active,
    }
    this.#terminal.draw(screenLines(view, this.#terminal.size))
  }
}
