/** Records a million ops in units of 100 and sends none, or sends what is there. */
import { openOutbox } from "../../src/index.ts"
import { say } from "../torture/child.ts"

export interface MillionSaid {
  seconds: number
  /** Of the resident memory, beyond what it was before the outbox was opened; the highest seen. */
  growth_mib: number
  first_post_ms: number
  late_ms_max: number
}

const [{ part, file, ref, ops }] = [JSON.parse(process.argv[2]!)]
const mib = () => process.memoryUsage.rss() / 1024 / 1024
const before_mib = mib()
let highest_mib = before_mib
let late_ms_max = 0
let expected = performance.now() + 10
const timer = setInterval(() => {
  highest_mib = Math.max(highest_mib, mib())
  late_ms_max = Math.max(late_ms_max, performance.now() - expected)
  expected = performance.now() + 10
}, 10)

const began = performance.now()
const outbox = openOutbox(file, { outboxBytesMax: 4 * 1024 ** 3 })
let first_post_ms = 0
outbox.on("sent", () => {
  first_post_ms ||= performance.now() - began
})
if (part === "record") {
  outbox.pause()
  const stream = outbox.stream("s", ref, { create: { session_id: "million" } })
  for (let n = 0; n < ops; n += 100) {
    outbox.unit(() => {
      for (let i = n; i < n + 100; i++) stream.record({ method: "put", args: [`${i}`, "x".repeat(200)] })
    })
    if (n % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
} else await outbox.flush()
clearInterval(timer)
const seconds = (performance.now() - began) / 1000
await outbox.close({ flush_ms: 0 })
say({ seconds, growth_mib: highest_mib - before_mib, first_post_ms, late_ms_max } satisfies MillionSaid)
