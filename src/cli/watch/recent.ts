/** What happened of late, for a screen: traffic is summed up, so that it does not push out what matters. */
import type { Change } from "../../inspect/changes.ts"
import { changeTone, isTraffic, lineOf } from "./change-text.ts"
import type { Tone } from "../output/terminal.ts"
import { addTraffic, type Traffic, trafficOf, trafficText } from "./traffic.ts"
import { durationText } from "../output/words.ts"

/** More than any screen shows. */
const entries_max = 200
/** Traffic after so long a pause is told by itself, ms. */
const pause_ms = 10_000

export interface RecentLine {
  time: number
  text: string
  tone: Tone | undefined
}

interface TrafficEntry {
  since: number
  time: number
  traffic: Traffic
}

export class Recent {
  readonly #entries: (RecentLine | TrafficEntry)[] = []

  add(time: number, changes: readonly Change[]): void {
    for (const change of changes) if (!isTraffic(change)) this.say(time, lineOf(change, time), changeTone(change))
    const traffic = trafficOf(changes)
    if (traffic.size === 0) return
    const last = this.#entries.at(-1)
    if (!last || !("traffic" in last) || time - last.time > pause_ms) return this.#push({ since: time, time, traffic })
    last.time = time
    addTraffic(last.traffic, traffic)
  }

  say(time: number, text: string, tone: Tone | undefined): void {
    this.#push({ time, text, tone })
  }

  /** The newest last. */
  lines(max: number): RecentLine[] {
    const last = max > 0 ? this.#entries.slice(-max) : []
    return last.map((entry) => ("traffic" in entry ? trafficLine(entry) : entry))
  }

  #push(entry: RecentLine | TrafficEntry): void {
    this.#entries.push(entry)
    if (this.#entries.length > entries_max) this.#entries.shift()
  }
}

function trafficLine({ since, time, traffic }: TrafficEntry): RecentLine {
  const long = time - since >= 2_000 ? `, in ${durationText(time - since)}` : ""
  return { time, text: `${trafficText(traffic)}${long}`, tone: undefined }
}
