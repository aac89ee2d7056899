/**
 * Records on a real outbox while the power may fail, and says on standard output which op is durable. Mode `record`
 * says so when record returns, which is a control that must lose.
 */
import { writeSync } from "node:fs"
import { checkpoint_idle_ms } from "../../../src/intent/limit.ts"
import { openQuietOutbox } from "../../store/box.ts"
import { seededRandom } from "./seeded-random.ts"

const [file, seed, mode] = process.argv.slice(2) as [string, string, "durable" | "record"]
const random = seededRandom(Number(seed))
const bursts = 24
// Now and then ops so large that the WAL meets its hard cap.
const large = random(8) === 0

let op = 0
let box = openQuietOutbox(file)
const waiting: Promise<void>[] = []

function record(): void {
  const number = op++
  box.notes.record({ method: "put", args: [number, "x".repeat(large ? 900_000 : 50 + random(600))] })
  const say = () => void writeSync(1, `${number}\n`)
  if (mode === "record") return say()
  if (random(3) === 0) waiting.push(box.outbox.durable().then(say))
}

for (let burst = 0; burst < bursts; burst++) {
  for (let i = 1 + random(6); i > 0; i--) record()
  if (random(2) === 0) await Bun.sleep(0)
  if (random(4) === 0) await Promise.all(waiting.splice(0))
  if (random(5) === 0) box.clock.turn(checkpoint_idle_ms)
  if (random(20) === 0) {
    await Promise.all(waiting.splice(0))
    await box.outbox.close({ flush_ms: 0 })
    box = openQuietOutbox(file)
  }
}
await Promise.all(waiting)
process.exit(0)
