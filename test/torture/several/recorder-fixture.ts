/**
 * Records at a rate into an outbox that others record into too, measures each `record` and how late a 1 ms timer comes,
 * and says both. Begins when its standard input ends, so that all of several begin together.
 */
import { openOutbox, SturdyError, type SturdyRef } from "../../../src/index.ts"
import { say, told } from "../child.ts"

export interface RecorderConfig {
  file: string
  /** By name. Ops go to them in turn. */
  streams: Record<string, SturdyRef>
  client: string
  /** Ops per second; 0: nothing is recorded; null: as many as there is room for. */
  rate: number | null
  /** Ends then, or after so many ops. */
  ms: number
  count?: number
}

export interface Recorded {
  client: string
  records: number
  busy: number
  posts: number
  /** Of single calls of `record`, ms. */
  waits: Percentiles
  /** How much later than asked a 1 ms timer came, ms. */
  lateness: Percentiles
}

export interface Percentiles {
  p50: number
  p99: number
  p999: number
  max: number
}

export type RecorderSaid = { ready: true } | Recorded

/** Ops recorded in one go at full speed before the event loop has its turn: 0.2 ms of work alone. */
const burst = 20

const config = JSON.parse(process.argv[2]!) as RecorderConfig
const outbox = openOutbox(config.file)
const streams = Object.entries(config.streams).map(([name, ref]) => outbox.stream(name, ref))
const waits: number[] = []
const lateness: number[] = []
let records = 0
let busy = 0
let posts = 0
outbox.on("sent", () => {
  posts += 1
})

say({ ready: true })
await told()
const began = performance.now()
const passed = () => performance.now() - began
const over = () => passed() >= config.ms || records >= (config.count ?? Infinity)
const watching = watchTimer()
while (!over()) {
  if (config.rate === null) {
    for (let i = 0; i < burst && !over(); i++) recordOne()
    await new Promise((resolve) => setImmediate(resolve))
  } else {
    if (records + busy < (passed() / 1000) * config.rate) recordOne()
    await Bun.sleep(1)
  }
}
await watching
say({
  client: config.client,
  records,
  busy,
  posts,
  waits: percentiles(waits),
  lateness: percentiles(lateness),
} satisfies Recorded)
await outbox.close({ flush_ms: 0 })
process.exit()

function recordOne(): void {
  const since = performance.now()
  try {
    const name = `${config.client}/0/${records}`
    streams[records % streams.length]!.record({ method: "put", args: [name, "x".repeat(200)] })
    records += 1
  } catch (error) {
    if (!(error instanceof SturdyError && error.code === "busy")) throw error
    busy += 1
  }
  waits.push(performance.now() - since)
}

async function watchTimer(): Promise<void> {
  while (!over()) {
    const asked = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 1))
    lateness.push(performance.now() - asked - 1)
  }
}

function percentiles(values: number[]): Percentiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: sorted.at(-1) ?? 0 }
}
