/** `npm run demo`: the main job under faults, and what it is worth. */
import { parseArgs } from "node:util"
import { default_speed, Demo, planned, retry_ms, window_ms } from "./demo.ts"
import { paintFor } from "./paint.ts"
import { Picture } from "./picture.ts"
import { reportLines } from "./report.ts"

const time_limit_ms = 60_000

const usage = `usage: npm run demo -- [--seed N] [--speed N] [--sabotage] [--json]`
const help = `${usage}

Plays a recorded opencode session to a client with an outbox, and to one with opencode's built-in kind of queue, while
the service and both clients are killed with SIGKILL and the network drops, cuts, refuses and repeats. Then compares
what the service shows with opencode's own final state. Exit code 1 if anything is lost, doubled or out of order.

  --seed N    the plan of faults (default: a random one, printed)
  --speed N   times faster than recorded, 1 to 20 (default ${default_speed}: about 11 s)
  --sabotage  the client acknowledges before it commits: the run must fail
  --json      one line with all figures on standard output, the rest on standard error`

const input = readArgs()
if (typeof input === "string") {
  process.stderr.write(`demo: ${input}\n${usage}\n`)
  process.exit(2)
}
if (input.help) {
  process.stdout.write(`${help}\n`)
  process.exit(0)
}

const out = input.json ? process.stderr : process.stdout
const paint = paintFor(out)
const { seed, speed, sabotage } = input
const picture = new Picture(out, paint)
const demo = new Demo({ seed, speed, sabotage }, picture)
for (const line of introLines()) out.write(`${line}\n`)

// The terminal's Ctrl-C comes twice: once from it, once from npm.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void leave(130))
let leaving = false
const limit = setTimeout(() => {
  picture.restore()
  out.write(`\ndemo: not done after ${time_limit_ms / 1000} s, given up. The seed was ${seed}.\n`)
  out.write(`The outbox is ${demo.outbox}\n`)
  void leave(1, true)
}, time_limit_ms)

try {
  const result = await demo.run()
  picture.end(`${result.events} events in ${result.seconds.toFixed(1)} s`)
  for (const line of reportLines(result, paint)) out.write(`${line}\n`)
  if (input.json) process.stdout.write(`${JSON.stringify({ version: 1, ...result })}\n`)
  await leave(result.lost + result.doubled + result.outOfOrder > 0 ? 1 : 0, true)
} catch (error) {
  out.write(`\ndemo: ${error instanceof Error ? error.message : error}. The seed was ${seed}.\n`)
  out.write(`The outbox is ${demo.outbox}\n`)
  await leave(1, true)
}

/** On every way out: no process and no file is left, except an outbox that is worth looking into. */
async function leave(code: number, keep = false): Promise<void> {
  if (leaving) return
  leaving = true
  clearTimeout(limit)
  picture.restore()
  await demo.stop(keep)
  process.exit(code)
}

function introLines(): string[] {
  const { kills, network } = planned(demo.plan)
  return [
    "",
    `  ${paint.bold("Sturdy demo")}  a recorded opencode session, played at ${speed} × its speed, seed ${seed}`,
    "",
    `  ${kills} SIGKILLs and ${network} network faults hit two clients alike:`,
    sabotage
      ? paint.red("  Sturdy           SABOTAGED: it acknowledges events before it has recorded them")
      : `  Sturdy           records to disk, sends again after ${retry_ms.min} to ${retry_ms.max} ms`,
    `  in-memory queue  emptied after ${window_ms(speed)} ms, then sent once (opencode's 1 s, at ${speed} ×)`,
    "",
  ]
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

function readArgs() {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: "string" },
        speed: { type: "string" },
        sabotage: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    })
    const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : wholeNumber(values.seed)
    const speed = Number(values.speed ?? default_speed)
    if (seed === undefined) return "--seed must be a whole number"
    if (!(speed >= 1 && speed <= 20)) return "--speed must be a number from 1 to 20"
    return { seed, speed, sabotage: !!values.sabotage, json: !!values.json, help: !!values.help }
  } catch (error) {
    return error instanceof Error ? error.message.split(". ")[0]! : String(error)
  }
}
