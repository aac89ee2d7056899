/** A failure as people read it: what did not hold, how to see it again, the steps that are enough, and the trace of them. */
import type { Plan } from "./plan.ts"
import type { Failure } from "./simulate.ts"

/** One cause may have many consequences. */
const violations_max = 5

export function failureText({ plan, shrunk }: Failure): string {
  const said = shrunk.outcome.violation?.split("\n") ?? []
  const more = said.length > violations_max ? [`  and ${said.length - violations_max} more of the kind`] : []
  return [
    `seed ${plan.seed}: ${said.slice(0, violations_max).join("\n  ")}`,
    ...more,
    `again: sturdy simulate --seed ${plan.seed}`,
    `knobs: ${knobsText(plan)}`,
    `${shrunk.plan.steps.length} of ${plan.steps.length} steps are enough:`,
    ...stepLines(shrunk.plan),
    "what happens then (seconds, who, what; a batch is `ops @cursor: answer`):",
    ...shrunk.outcome.trace.map((line) => `  ${line}`),
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
