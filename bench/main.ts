/**
 * npm run bench [-- --json] [SECTION …]: speed as ratios beside something raw in the same run. Absolute figures say more about the
 * machine than about Sturdy.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { openOutbox, type Outbox } from "../src/index.ts"
import { serveShareService } from "../src/service/index.ts"
import { cliStatus } from "./cli-status.ts"
import { measure, median, type Contender } from "./measure.ts"
import { rawTable } from "./raw.ts"
import { row, type Row } from "./row.ts"

const { values: flags, positionals: wanted } = parseArgs({
  options: { json: { type: "boolean" } },
  allowPositionals: true,
})
const folder = mkdtempSync(join(tmpdir(), "sturdy-bench-"))
/** 300 bytes of payload as text, once encoded. */
const payload = { id: "msg_1", text: "x".repeat(260) }
const text = JSON.stringify([[payload]])
const rounds = 5

const quiet = (file: string) => {
  const outbox = openOutbox(join(folder, file))
  outbox.pause()
  const stream = outbox.stream("bench", outbox.newRef("http://127.0.0.1:9/rpc/share"))
  return { outbox, record: () => stream.record({ method: "note.put", args: [payload] }) }
}

function timed(count: number, call: () => void): Float64Array {
  const calls = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const started = Bun.nanoseconds()
    call()
    calls[i] = Bun.nanoseconds() - started
  }
  return calls
}

const thousands = (value: number) => `${Math.round(value).toLocaleString("en")}/s`

async function recordOne(): Promise<Row[]> {
  const { outbox, record } = quiet("one.db")
  const raw = rawTable(join(folder, "one-raw.db"), "normal")
  const found = await measure(
    [
      { name: "raw", round: async () => ({ ops: 5_000, calls: timed(5_000, () => raw.one(text)) }) },
      { name: "sturdy", round: async () => ({ ops: 5_000, calls: timed(5_000, record) }) },
    ],
    rounds,
  )
  const [a, b] = [found.get("sturdy")!, found.get("raw")!]
  await outbox.close({ flush_ms: 0 })
  raw.close()
  const ratio = a.ops_per_second / b.ops_per_second
  const more_us = a.p50_us! - b.p50_us!
  return [
    row(
      "record, one at a time",
      thousands(a.ops_per_second),
      thousands(b.ops_per_second),
      ratio,
      "≥ 0.7 × raw",
      ratio >= 0.7,
    ),
    row("… p50", `${a.p50_us!.toFixed(1)} µs`, `${b.p50_us!.toFixed(1)} µs`, more_us, "≤ raw + 10 µs", more_us <= 10),
    row(
      "… p99",
      `${a.p99_us!.toFixed(1)} µs`,
      `${b.p99_us!.toFixed(1)} µs`,
      a.p99_us! / b.p99_us!,
      "≤ 100 µs",
      a.p99_us! <= 100,
    ),
  ]
}

async function recordUnits(): Promise<Row[]> {
  const { outbox, record } = quiet("unit.db")
  const raw = rawTable(join(folder, "unit-raw.db"), "normal")
  const unit = () => outbox.unit(() => void Array.from({ length: 100 }, record))
  const times =
    (call: () => void): Contender["round"] =>
    async () => {
      for (let i = 0; i < 100; i++) call()
      return { ops: 10_000 }
    }
  const found = await measure(
    [
      { name: "raw", round: times(() => raw.many(text, 100)) },
      { name: "sturdy", round: times(unit) },
    ],
    rounds,
  )
  await outbox.close({ flush_ms: 0 })
  raw.close()
  const [a, b] = [found.get("sturdy")!.ops_per_second, found.get("raw")!.ops_per_second]
  return [row("record in units of 100", thousands(a), thousands(b), a / b, "≥ 0.8 × raw", a / b >= 0.8)]
}

async function durableCallers(): Promise<Row[]> {
  const { outbox, record } = quiet("durable.db")
  const single = rawTable(join(folder, "durable-1.db"), "full")
  const hundred = rawTable(join(folder, "durable-100.db"), "full")
  const callers = 100
  const each = 20
  const caller = async () => {
    for (let i = 0; i < each; i++) {
      record()
      await outbox.durable()
    }
  }
  const found = await measure(
    [
      { name: "one", round: async () => ({ ops: timed(100, () => single.one(text)).length }) },
      { name: "hundred", round: async () => ({ ops: 100 * timed(20, () => hundred.many(text, 100)).length }) },
      {
        name: "sturdy",
        round: async () => {
          await Promise.all(Array.from({ length: callers }, caller))
          return { ops: callers * each }
        },
      },
    ],
    rounds,
  )
  await outbox.close({ flush_ms: 0 })
  single.close()
  hundred.close()
  const [a, one, many] = ["sturdy", "one", "hundred"].map((name) => found.get(name)!.ops_per_second) as [
    number,
    number,
    number,
  ]
  return [
    row(
      "100 callers awaiting durable()",
      thousands(a),
      `${thousands(one)} (FULL each)`,
      a / one,
      "≥ 50 × raw",
      a / one >= 50,
    ),
    row(
      "… beside batches of 100",
      thousands(a),
      `${thousands(many)} (FULL, 100)`,
      a / many,
      "≥ 0.6 × raw",
      a / many >= 0.6,
    ),
  ]
}

async function drain(): Promise<Row[]> {
  await using service = serveShareService({
    file: join(folder, "service.db"),
    methods: { "note.put": () => null },
  })
  const count = 20_000
  const speeds: number[] = []
  let posts = 0
  for (let round = 0; round < 3; round++) {
    const outbox: Outbox = openOutbox(join(folder, `drain-${round}.db`))
    outbox.pause()
    const ref = outbox.newRef(`${service.url}/rpc/share`)
    const stream = outbox.stream("bench", ref, { create: { session_id: "bench" } })
    for (let i = 0; i < count / 100; i++)
      outbox.unit(() => {
        for (let j = 0; j < 100; j++) stream.record({ method: "note.put", args: [payload] })
      })
    const started = Bun.nanoseconds()
    outbox.resume()
    await outbox.flush()
    speeds.push(count / ((Bun.nanoseconds() - started) / 1e9))
    posts = stream.status().posts
    await outbox.close()
  }
  const speed = median(speeds)
  return [
    row(
      `drain ${count.toLocaleString("en")} ops over HTTP`,
      `${thousands(speed)}, ${posts} POSTs`,
      "–",
      NaN,
      "–",
      true,
    ),
  ]
}

const sections: Record<string, () => Promise<Row[]>> = {
  record: recordOne,
  units: recordUnits,
  durable: durableCallers,
  drain,
  "cli-status": () => cliStatus(folder),
}
const unknown = wanted.find((name) => !Object.hasOwn(sections, name))
if (unknown !== undefined) throw new Error(`no section ${unknown}: there are ${Object.keys(sections).join(", ")}`)
for (const [name, measureSection] of Object.entries(sections)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  for (const measured of await measureSection()) {
    if (flags.json) console.log(JSON.stringify(measured))
    else
      console.log(
        [
          measured.what.padEnd(34),
          measured.sturdy.padEnd(22),
          measured.raw.padEnd(24),
          String(measured.ratio).padStart(7),
          measured.goal.padEnd(14),
          measured.reached ? "reached" : "MISSED",
        ].join("  "),
      )
  }
}
rmSync(folder, { recursive: true, force: true })
