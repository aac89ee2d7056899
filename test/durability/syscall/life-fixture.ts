/**
 * The life of an outbox from its first open to its last close, against a real service, under system calls that may
 * fail: records, a unit, durable, flushes with rejections, checkpoints, a second opening. Says what returned and what
 * threw; goes on whatever throws, as a host would.
 */
import { rmSync, statSync, writeFileSync, writeSync } from "node:fs"
import { SturdyError } from "../../../src/intent/error.ts"
import * as limit from "../../../src/intent/limit.ts"
import { ManualClock } from "../../../src/testing/manual-clock.ts"
import { type LifePlan, type OpName, planned, type Word } from "./plan.ts"
import { openTurned, type Turned } from "./turned.ts"

const plan = JSON.parse(process.argv[2]!) as LifePlan
const clock = new ManualClock()
const op_ids = new Map<OpName, string>()
const refused: OpName[][] = []
/** A fault that stays is not over yet. */
let faulty = plan.heal !== undefined
let openings = 0
let turned = await open()

record("a1")
record("a2")
record("k1")
record("k2")
await durable()
record("u1", "u2", "u3")
record("p1")
record("d1")
await flush()
attempt("discard", () => {
  for (const { op_id } of turned.stream.deadLetters().slice(0, 1)) turned.stream.discard(op_id)
})
record("b1")
record("b2", "b3")
await durable()
idle()
record("c1")
await durable()
record("c2")
record("p2")
await flush()
idle()
await goOn("h1")
await close()
heal("closed")
turned = await open()
await goOn("e1")
idle()
await goOn("e2")
await close()
if (heal("closed") || refused.length > 0) {
  turned = await open()
  await goOn("e3")
  await close()
}
process.exit(0)

/** The fault may be over: the same handle records again what it refused, and more, and sends it. */
async function goOn(name: OpName): Promise<void> {
  heal("open")
  repeat()
  record(name)
  await durable()
  await flush()
}

function say(word: Word): void {
  writeSync(1, `${JSON.stringify(word)}\n`)
}

/** What goes past the model of a power loss (pl.c). */
function tellModel(point: string): void {
  if (process.env.PL_DIR && point === "write the -wal again:before-commit")
    rmSync(`${plan.file}-wal.written`, { force: true })
}

/** A fault that passes may stop one opening, one that stays every one until it is over. */
async function open(): Promise<Turned> {
  for (let tries = 1; ; tries++)
    try {
      const opened = openTurned(plan.file, plan.ref, ++openings, clock, tellModel)
      opened.outbox.on("fault", ({ cause }) => void codeOf("fault event", cause))
      for (const event of ["twin", "server_reset", "quarantined"] as const)
        opened.outbox.on(event, () => say({ wrong: `${event} was told` }))
      return opened
    } catch (error) {
      say({ failed: "open", code: codeOf("open", error) })
      if (!heal("open") && !heal("closed") && tries > 1) {
        say({ wrong: `it cannot be opened again: ${error}` })
        process.exit(0)
      }
      // The outbox that could not have its stream is closing.
      await Bun.sleep(0)
    }
}

/** One unit. */
function record(...names: OpName[]): void {
  const { outbox, stream } = turned
  const input = (name: OpName) => {
    const { refused, key, on, bytes = 20 } = planned(name)
    const op_id = op_ids.get(on as OpName)
    return {
      method: refused ? "refuse" : "put",
      args: [name, "x".repeat(bytes)],
      captureId: name,
      ...(key !== undefined && { key }),
      ...(op_id !== undefined && { dependsOn: [op_id] }),
    }
  }
  say({ trying: names })
  if (plan.sabotage === "early") say({ recorded: names, op_ids: names.map(() => "") })
  try {
    const intents = outbox.unit(() => names.map((name) => stream.record(input(name))))
    names.forEach((name, index) => op_ids.set(name, outbox.opId(intents[index]!)))
    say({ recorded: names, op_ids: names.map((name) => op_ids.get(name)!) })
  } catch (error) {
    if (plan.sabotage === "silent") return say({ recorded: names, op_ids: names.map(() => "") })
    const code = codeOf("record", error)
    const captured = attempt("captured", () => names.map((name) => stream.captured(name) !== undefined))
    say({ refused: names, code, indeterminate: error instanceof SturdyError && error.indeterminate, captured })
    refused.push(names)
  }
}

function repeat(): void {
  const again = refused.splice(0)
  if (!plan.repeat) return
  for (const names of again) record(...names)
}

async function durable(): Promise<void> {
  say({ durable: "asked" })
  try {
    await turned.outbox.durable()
    say({ durable: "resolved" })
  } catch (error) {
    say({ failed: "durable", code: codeOf("durable", error) })
  }
}

/** Until all is settled; while the fault stays, as long as a few attempts take. A full disk is waited for. */
async function flush(): Promise<void> {
  const { outbox, until } = turned
  outbox.resume()
  for (let tries = 1; ; tries++) {
    try {
      let settled = false
      const report = outbox.flush().then((report) => {
        settled = report.settled
        for (const { reason } of report.blocked) if (reason !== "disk_full") say({ wrong: `blocked by ${reason}` })
      })
      await until(report, faulty ? 3_000 : 600_000)
      if (settled) break
    } catch (error) {
      say({ failed: "flush", code: codeOf("flush", error) })
    }
    if (faulty) break
    if (tries === 20) {
      say({ wrong: "flush settles nothing, and no fault is on" })
      break
    }
    await until(new Promise((resolve) => clock.timer(limit.poll_ms, () => resolve(undefined))))
  }
  outbox.pause()
}

/** Nothing may reach the host: a timer that throws ends its process. */
function idle(): void {
  try {
    clock.turn(limit.checkpoint_idle_ms)
  } catch (error) {
    say({ wrong: `a timer threw: ${error}` })
  }
}

async function close(): Promise<void> {
  try {
    await turned.until(turned.outbox.close({ flush_ms: 0 }))
  } catch (error) {
    say({ failed: "close", code: codeOf("close", error) })
  }
}

function attempt<T>(step: string, body: () => T): T | undefined {
  try {
    return body()
  } catch (error) {
    say({ failed: step, code: codeOf(step, error) })
    return
  }
}

/** True if the fault that stays has been met, and is over now. It ends before a close or after it, as planned. */
function heal(when: "open" | "closed"): boolean {
  if (!faulty || plan.heal!.when !== when || statSync(plan.calls).size === 0) return false
  writeFileSync(plan.heal!.file, "")
  faulty = false
  say({ over: "the fault" })
  return true
}

/** Whatever a disk does, what is thrown is ours. */
function codeOf(step: string, error: unknown): string {
  if (error instanceof SturdyError) return error.code
  say({ wrong: `${step} threw ${error instanceof Error ? (error.stack ?? error.message) : error}` })
  return "not ours"
}
