/** Is told to end in the middle of work that must be finished; a listener of its own, if asked for, hears of it later. */
import { systemClock } from "../../src/intent/system.ts"
import { holdingSignals } from "../../src/store/held-signals.ts"

const [signal, listener] = process.argv.slice(2) as [NodeJS.Signals, "once" | "none"]
const say = (line: string) => process.stdout.write(`${line}\n`)

if (listener === "once") process.once(signal, () => say("heard"))
holdingSignals(systemClock, () => {
  process.kill(process.pid, signal)
  systemClock.block(50)
  say("finished")
})
// Alive as long as nothing ends it.
await Bun.stdin.text()
say("ended")
