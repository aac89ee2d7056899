/** `sturdy simulate`: the deterministic simulator, seed by seed. */
import { failureText, knobsText, stepLines } from "../testing/simulator/failure-text.ts"
import { planOf, seed_max } from "../testing/simulator/plan.ts"
import { reach } from "../testing/simulator/reach.ts"
import { run } from "../testing/simulator/run.ts"
import { simulate as simulateSeeds, type SimulateReport } from "../testing/simulator/simulate.ts"
import { type Command, type ExitCode, type Input, numberOption, UsageError } from "./input/command.ts"
import { note, print, printJson } from "./output/terminal.ts"

const progress_ms = 1_000

export const simulate: Command = {
  name: "simulate",
  summary: "attack outbox, network and service with faults in a deterministic world",
  usage: "[--seeds N] [--from S] [--seed S] [--failures N] [--reach] [--json]",
  help: `
Runs outboxes, a network and a share service in one process on virtual time. Each seed draws a world, what its hosts do,
and the faults that it meets; after every event the invariants are checked, and at the end everything must drain.
The same seed does the same again, in the same version of Sturdy. What fails is shrunk to the steps that are enough.
Exit code 1 if anything fails. A core runs some hundred seeds per second.

  --seeds N     how many seeds (default 1000)
  --from S      the first one (default 1)
  --seed S      one seed, with its steps and its whole trace
  --failures N  stop after so many seeds that fail (default 10)
  --reach       how often each fault and each branch was met; with --json a line {"what","count","elsewhere"?} each
  --json        last line {"version","seeds","violations","faults","crashes","seconds",…}; before it a line per failure,
                {"seed","violation","steps","trace"}, which --seed prints in any case`,
  options: {
    seeds: { type: "string" },
    from: { type: "string" },
    seed: { type: "string" },
    failures: { type: "string" },
    reach: { type: "boolean" },
  },
  positionals: 0,
  async run(input) {
    const seed = numberOption(simulate, input, "seed", { min: 0, max: seed_max })
    const seeds = numberOption(simulate, input, "seeds", { min: 1, max: seed_max })
    const from = numberOption(simulate, input, "from", { min: 0, max: seed_max })
    if (seed !== undefined && (seeds ?? from) !== undefined)
      throw new UsageError("--seed is one seed alone: without --seeds and --from", simulate)
    if ((from ?? 1) + (seeds ?? 1_000) - 1 > seed_max)
      throw new UsageError(`there are no seeds beyond ${seed_max}`, simulate)
    if (seed !== undefined) await tell(seed, input.options.json === true)
    return many(input, seed === undefined ? (seeds ?? 1_000) : 1, seed ?? from ?? 1)
  },
}

async function many(input: Input, seeds: number, from: number): Promise<ExitCode> {
  if (from + seeds - 1 > seed_max) throw new UsageError(`the last seed that there is is ${seed_max}`, simulate)
  const began = Date.now()
  let told = began
  let done = 0
  const failures_max = numberOption(simulate, input, "failures", { min: 1, max: seed_max }) ?? 10
  const report = await simulateSeeds({
    seeds,
    from,
    failures_max,
    onSeed: () => {
      done += 1
      if (Date.now() - told < progress_ms) return
      told = Date.now()
      note(`${done} of ${seeds} seeds, ${Math.round((done * 60_000) / (told - began))} per minute`)
    },
  })
  const seconds = (Date.now() - began) / 1_000
  if (input.options.json) printReport(report, seconds, input.options.reach === true)
  else printWords(report, seconds, input.options.reach === true)
  if (report.seeds < seeds)
    note(`stopped after ${failures_max} that failed: ${seeds - report.seeds} seeds were not run`)
  return report.violations > 0 ? 1 : 0
}

function printReport(report: SimulateReport, seconds: number, withReach: boolean): void {
  for (const { plan, shrunk } of report.failures) {
    const { violation, trace } = shrunk.outcome
    printJson({ version: 1, seed: plan.seed, violation, steps: shrunk.plan.steps, trace })
  }
  if (withReach) for (const reached of reach(report.met)) printJson({ version: 1, ...reached })
  const { seeds, violations, faults, crashes, posts, simulated_ms } = report
  printJson({ version: 1, seeds, violations, faults, crashes, seconds, posts, simulated_seconds: simulated_ms / 1_000 })
}

function printWords(report: SimulateReport, seconds: number, withReach: boolean): void {
  for (const failure of report.failures) print(`${failureText(failure)}\n`)
  if (withReach)
    for (const { what, count, elsewhere } of reach(report.met))
      print(`${String(count).padStart(9)}  ${what}${elsewhere && count === 0 ? `  (${elsewhere})` : ""}`)
  const { seeds, violations, faults, crashes, posts, simulated_ms } = report
  const each = (count: number) => (count / Math.max(1, seeds)).toFixed(1)
  print(`${seeds} ${seeds === 1 ? "seed" : "seeds"}, ${violations} ${violations === 1 ? "violation" : "violations"}`)
  print(`per seed: ${each(faults)} faults, ${each(crashes)} crashes, ${each(posts)} POSTs`)
  print(`${(simulated_ms / 3_600_000).toFixed(1)} simulated hours in ${seconds.toFixed(1)} s`)
}

/** What the seed does, and what came of it. */
async function tell(seed: number, json: boolean): Promise<void> {
  const plan = planOf(seed)
  const outcome = await run(plan)
  const { violation = null, trace, hash } = outcome
  if (json) return printJson({ version: 1, seed, knobs: plan.knobs, violation, steps: plan.steps, trace, hash })
  print(`seed ${seed}: ${knobsText(plan)}`)
  for (const line of stepLines(plan)) print(line)
  for (const line of trace) print(`  ${line}`)
  print(`trace hash ${hash}`)
}
