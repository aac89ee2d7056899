/** One plan from its first step to its end. */
import { shapeProblem } from "../../intent/shape.ts"
import { end } from "./ending.ts"
import type { Plan } from "./plan.ts"
import { Simulation } from "./simulation.ts"
import { Violation } from "./watch.ts"

export interface Outcome {
  seed: number
  /** What did not hold; undefined if everything did. */
  violation: string | undefined
  /** A line per event: seconds, who, what. */
  trace: readonly string[]
  /** Of the trace: the same seed gives the same one. */
  hash: string
  /** By kind and name: so many times. */
  met: ReadonlyMap<string, number>
  /** Deaths of a client's process or of the service. */
  crashes: number
  posts: number
  /** ms of the world's clock. */
  simulated_ms: number
}

/** Plays the plan: what did not hold is in the outcome. @throws TypeError if it is no plan */
export async function run(plan: Plan): Promise<Outcome> {
  const wrong = shapeProblem(plan, ["seed", "knobs", "steps"])
  if (wrong) throw new TypeError(`a plan ${wrong}`)
  const { seed, knobs, steps } = plan
  if (typeof seed !== "number" || typeof knobs !== "object" || knobs === null || !Array.isArray(steps))
    throw new TypeError("a plan has a seed, knobs and steps, as planOf(seed) makes them")
  const sim = new Simulation(plan)
  const violation = await play(sim, plan)
  const { trace, clock } = sim.world
  const outcome: Outcome = {
    seed: plan.seed,
    violation,
    trace: [...trace],
    hash: Bun.hash(trace.join("\n")).toString(16).padStart(16, "0"),
    met: sim.watch.met,
    crashes: sim.world.crashes,
    posts: sim.world.net.posts,
    simulated_ms: clock.monotonic(),
  }
  sim.world.abandon()
  return outcome
}

async function play(sim: Simulation, plan: Plan): Promise<string | undefined> {
  try {
    await sim.start()
    for (const step of plan.steps) await sim.step(step)
    await end(sim)
    return undefined
  } catch (error) {
    if (!(error instanceof Error)) return String(error)
    return error instanceof Violation ? error.message : (error.stack ?? error.message)
  }
}
