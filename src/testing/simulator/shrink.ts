/** Leaves out of a failing plan what is not needed to fail: halves, quarters, single steps (delta debugging, Zeller 1999). */
import type { Plan, Step } from "./plan.ts"
import { type Outcome, run } from "./run.ts"

/** The longest plan needs about a hundred. */
const runs_max = 500

/** The smallest part of the plan found that fails in the same way, with its outcome. @throws TypeError if it did not fail */
export async function shrink(plan: Plan, outcome: Outcome): Promise<{ plan: Plan; outcome: Outcome }> {
  if (outcome.violation === undefined) throw new TypeError(`seed ${plan.seed} did not fail: there is nothing to shrink`)
  const wanted = kindOf(outcome)
  let best = { plan, outcome }
  let runs = 0
  for (let size = Math.ceil(plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.plan.steps.length && runs < runs_max; runs++) {
      const smaller = { ...plan, steps: without(best.plan.steps, at, size) }
      const found = await run(smaller)
      if (kindOf(found) === wanted) best = { plan: smaller, outcome: found }
      else at += size
    }
  }
  return best
}

/** Time goes on as it did. */
function without(steps: readonly Step[], at: number, size: number): Step[] {
  const gone_ms = steps.slice(at, at + size).reduce((sum, step) => sum + step.after_ms, 0)
  const rest = steps.slice(at + size)
  const [next] = rest
  return [...steps.slice(0, at), ...(next ? [{ ...next, after_ms: next.after_ms + gone_ms }] : []), ...rest.slice(1)]
}

/** Which invariant, or what else: names and numbers differ from run to run. */
function kindOf({ violation }: Outcome): string | undefined {
  return violation
    ?.split("\n")[0]!
    .replace(/[\d']+/g, "")
    .slice(0, 40)
}
