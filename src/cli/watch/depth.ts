/** How many ops were pending over the last looks, and how fast they came and went. */
import type { Change } from "../../inspect/changes.ts"
import type { Look } from "../../inspect/look.ts"
import { totalsOf } from "../../inspect/status.ts"

/** Looks that are remembered: as many columns of a sparkline. */
const looks_max = 120
/** Rates are of so long, ms: long enough to be read, short enough to be of now. */
const window_ms = 5_000

interface Sample {
  time: number
  pending: number
  /** Since the first look. */
  recorded: number
  settled: number
  posts: number
}

export interface Rates {
  /** All per second. */
  recorded: number
  settled: number
  posts: number
}

export class Depth {
  readonly #samples: Sample[] = []
  #posts = 0

  add(look: Look, changes: readonly Change[]): void {
    const { time } = look
    const last = this.#samples.at(-1)
    const { pending, posts } = totalsOf(look.streams)
    this.#samples.push({
      time,
      pending,
      recorded: (last?.recorded ?? 0) + opsOf("recorded", changes),
      settled: (last?.settled ?? 0) + opsOf("settled", changes),
      // Another outbox has counted from 0.
      posts: last ? last.posts + Math.max(0, posts - this.#posts) : 0,
    })
    this.#posts = posts
    if (this.#samples.length > looks_max) this.#samples.shift()
  }

  get pending(): readonly number[] {
    return this.#samples.map((sample) => sample.pending)
  }

  /** Since the first look. */
  get totals(): { recorded: number; settled: number } {
    return this.#samples.at(-1) ?? { recorded: 0, settled: 0 }
  }

  get rates(): Rates {
    const last = this.#samples.at(-1)
    const first =
      this.#samples.find(({ time }, index) => time >= last!.time - window_ms || index === this.#samples.length - 2) ??
      last
    // No time has passed, or the clock was put back.
    if (!last || !first || last.time <= first.time) return { recorded: 0, settled: 0, posts: 0 }
    const perSecond = (of: keyof Rates) => ((last[of] - first[of]) * 1_000) / (last.time - first.time)
    return { recorded: perSecond("recorded"), settled: perSecond("settled"), posts: perSecond("posts") }
  }
}

function opsOf(type: "recorded" | "settled", changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + (change.type === type ? change.ops : 0), 0)
}

const bars = "▁▂▃▄▅▆▇█"

/** The last `width` numbers, from 0 to the highest of them. */
export function sparkline(numbers: readonly number[], width: number): string {
  const shown = width > 0 ? numbers.slice(-width) : []
  const highest = Math.max(1, ...shown)
  // What is not nothing does not look like it.
  return shown.map((number) => bars[Math.ceil((number / highest) * (bars.length - 1))]).join("")
}

export function rateText(per_second: number): string {
  const digits = per_second > 0 && per_second < 10 ? 1 : 0
  return `${per_second.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}/s`
}
