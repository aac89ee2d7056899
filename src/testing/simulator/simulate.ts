/** Many seeds, one after the other: what was met, what did not hold, and whether the same seed does the same again. */
import { shapeProblem } from "../../intent/shape.ts"
import { faults } from "./faults.ts"
import { planOf, type Plan, seed_max } from "./plan.ts"
import { type Outcome, run } from "./run.ts"
import { shrink } from "./shrink.ts"

export interface SimulateOptions {
  /** How many. */
  seeds: number
  /** The first one. @default 1 */
  from?: number
  /** Stop after so many that failed. @default 10 */
  failures_max?: number
  /** Told after each seed. */
  onSeed?: (outcome: Outcome) => void
}

/** A seed in which something did not hold. */
export interface Failure {
  plan: Plan
  outcome: Outcome
  /** The least of its steps that fail in the same way. */
  shrunk: { plan: Plan; outcome: Outcome }
}

export interface SimulateReport {
  /** So many were run: fewer than asked for if too many failed. */
  seeds: number
  /** Seeds in which something did not hold. */
  violations: number
  /** So many struck. */
  faults: number
  /** Deaths of a client's process or of the service. */
  crashes: number
  posts: number
  /** By the clocks of the worlds. */
  simulated_ms: number
  met: ReadonlyMap<string, number>
  failures: Failure[]
}

/** One seed in so many is run twice. */
const rerun_every = 100

const struck: ReadonlySet<string> = new Set(faults.map(({ name }) => `did ${name}`))

/** Runs the seeds; what did not hold is in the report. @throws TypeError if the options are none */
export async function simulate(options: SimulateOptions): Promise<SimulateReport> {
  const wrong = shapeProblem(options, ["seeds", "from", "failures_max", "onSeed"])
  if (wrong) throw new TypeError(`the options of simulate: the object ${wrong}`)
  const { seeds, from = 1, failures_max = 10, onSeed } = options
  assertWhole("seeds", seeds, 1, seed_max)
  assertWhole("from", from, 0, seed_max - seeds + 1)
  assertWhole("failures_max", failures_max, 1, seed_max)
  const met = new Map<string, number>()
  const report = { seeds: 0, faults: 0, crashes: 0, posts: 0, simulated_ms: 0 }
  const failures: Failure[] = []
  for (let seed = from; seed < from + seeds && failures.length < failures_max; seed++) {
    const plan = planOf(seed)
    const quick = await withoutStacks(() => (seed % rerun_every === 0 ? twice(plan) : run(plan)))
    // Once more for whoever must see where.
    const outcome = quick.violation === undefined || quick.violation.startsWith("I15") ? quick : await run(plan)
    report.seeds += 1
    report.crashes += outcome.crashes
    report.posts += outcome.posts
    report.simulated_ms += outcome.simulated_ms
    for (const [what, count] of outcome.met) {
      met.set(what, (met.get(what) ?? 0) + count)
      if (struck.has(what)) report.faults += count
    }
    if (outcome.violation !== undefined) failures.push({ plan, outcome, shrunk: await shrink(plan, outcome) })
    onSeed?.(outcome)
  }
  return { ...report, violations: failures.length, met, failures }
}

function assertWhole(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new TypeError(`${name} must be a whole number from ${min} to ${max}, got ${String(value)}`)
}

/** Errors are thrown in thousands, and caught: nobody looks where they come from (a tenth of the time). */
async function withoutStacks<T>(work: () => Promise<T>): Promise<T> {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return await work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** I15: the same seed gives the same trace. */
async function twice(plan: Plan): Promise<Outcome> {
  const [first, second] = [await run(plan), await run(plan)]
  if (first.violation !== undefined || first.hash === second.hash) return first
  const at = first.trace.findIndex((line, index) => line !== second.trace[index])
  const violation = `I15 seed ${plan.seed} went another way the second time: ${first.trace[at]}, then ${second.trace[at]}`
  return { ...first, violation }
}
