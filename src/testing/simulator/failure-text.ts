/** A failure as people read it: what did not hold, how to see it again, the steps that are enough, and the trace of them. */
import type { Plan } from "./plan.ts"
import type { Failure } from "./simulate.ts"

export function failureText({ plan, outcome, shrunk }: Failure): string {
  return [
    `seed ${plan.seed}: ${outcome.violation}`,
    `again: sturdy simulate --seed ${plan.seed}`,
    `knobs: ${knobsText(plan)}`,
    `${shrunk.plan.steps.length} of ${plan.steps.length} steps are enough:`,
    ...stepLines(shrunk.plan),
    "what happens then (seconds, who, what; a batch is `ops @cursor: answer`):",
    ...shrunk.outcome.trace.map((line) => `  ${line}`),
    `  => ${shrunk.outcome.violation}`,
  ].join("\n")
}

export function knobsText({ knobs }: Plan): string {
  return Object.entries(knobs)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ")
}

export function stepLines({ steps }: Plan): string[] {
  return steps.map(({ after_ms, does, seed }) => `  +${(after_ms / 1_000).toFixed(3)} ${does} #${seed.toString(16)}`)
}
