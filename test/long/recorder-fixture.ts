/**
 * Records at a rate into an outbox that others record into too, measures each `record` and how late a 1 ms timer comes,
 * and says both. Begins when told by a line on standard input, so that all of several begin together.
 */
import { openOutbox } from "../../src/index.ts"
import type { SturdyRef } from "../../src/store/stream.ts"
import { SturdyError } from "../../src/intent/error.ts"
import { say } from "../torture/child.ts"

export interface RecorderConfig {
  file: string
  ref: SturdyRef
  name: string
  ms: number
  /** Ops per second; 0: nothing is recorded; null: as many as there is room for. */
  rate: number | null
  /** Records only: others send. */
  quiet?: boolean
}

export interface Recorded {
  name: string
  records: number
  busy: number
  /** Of single calls of `record`, ms. */
  waits: Percentiles
  /** How much later than asked a 1 ms timer came, ms. */
  lateness: Percentiles
  posts: number
  settled: number
}

export interface Percentiles {
  p50: number
  p99: number
  p999: number
  max: number
}

/** Ops recorded in one go at full speed before the event loop has its turn. */
const burst = 20

const config = JSON.parse(process.argv[2]!) as RecorderConfig
const outbox = openOutbox(config.file)
if (config.quiet) outbox.pause()
const stream = outbox.stream(config.name, config.ref)
let posts = 0
let settled = 0
outbox.on("sent", () => (posts += 1))
outbox.on("acked", ({ ops }) => (settled += ops))
const waits: number[] = []
const lateness: number[] = []
let n = 0
let busy = 0

function recordOne(): void {
  const began = performance.now()
  try {
    stream.record({ method: "put", args: [`${config.name}/0/${n}`, "x".repeat(200)] })
    n += 1
  } catch (error) {
    if (!(error instanceof SturdyError && error.code === "busy")) throw error
    busy += 1
  }
  waits.push(performance.now() - began)
}

async function recordFor(ms: number): Promise<void> {
  const began = performance.now()
  for (let passed = 0; passed < ms; passed = performance.now() - began) {
    if (config.rate === null) {
      for (let i = 0; i < burst; i++) recordOne()
      await new Promise((resolve) => setImmediate(resolve))
      continue
    }
    if (n + busy < (passed / 1000) * config.rate) recordOne()
    await Bun.sleep(1)
  }
}

async function watchTimer(until: () => boolean): Promise<void> {
  while (!until()) {
    const asked = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 1))
    lateness.push(performance.now() - asked - 1)
  }
}

say({ ready: true })
for await (const _ of Bun.stdin.stream()) break
let done = false
const watching = watchTimer(() => done)
await recordFor(config.ms)
done = true
await watching
say({
  name: config.name,
  records: n,
  busy,
  waits: percentiles(waits),
  lateness: percentiles(lateness),
  posts,
  settled,
} satisfies Recorded)
await outbox.close({ flush_ms: 0 })
process.exit()

function percentiles(values: number[]): Percentiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: sorted.at(-1) ?? 0 }
}
