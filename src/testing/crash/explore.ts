/**
 * Crashes at every point: a scenario is lived once for each crash point that it passes, and dies there; with depth 2 the
 * next process dies too, at each of the points that it passes in turn. Whatever dies, everything must end as if nothing had.
 */
import { shapeProblem } from "../../intent/shape.ts"
import { openWorld, type World } from "../world/world.ts"
import { type CrashScenario, crashScenarios, type Stage } from "./scenario.ts"

export interface ExploreOptions {
  /** @default all of them */
  scenarios?: readonly CrashScenario[]
  /** Crashes per life: 1 or 2. @default 1 */
  depth?: 1 | 2
  /** Of the lives with two deaths, one in so many. @default 1 */
  every?: number
}

export interface Explored {
  scenario: string
  /** Of crash points: the step, and which side of its commit, or of a POST. */
  names: string[]
  /** Crash points passed in an undisturbed life, each tried. */
  hits: number
  lives: number
  violations: string[]
}

/** One passage through a scenario, of however many processes. */
interface Passage {
  points: string[]
  serverPoints: string[]
  /** How everything stands at the end, or why it never got there. */
  stands: string
  ended: boolean
}

/** When a service that died is back. */
const restart_ms = 2_000

/** @throws TypeError if there is no scenario, or an option is none */
export async function exploreCrashes(options: ExploreOptions = {}): Promise<Explored[]> {
  const wrong = shapeProblem(options, ["scenarios", "depth", "every"])
  if (wrong) throw new TypeError(`the options of exploreCrashes: the object ${wrong}`)
  const { scenarios = crashScenarios, depth = 1, every = 1 } = options
  for (const scenario of scenarios)
    if (typeof scenario?.acts !== "function" || typeof scenario.name !== "string")
      throw new TypeError("a scenario has a name, and acts: a function that returns them")
  if (depth !== 1 && depth !== 2) throw new TypeError(`depth must be 1 or 2, got ${String(depth)}`)
  if (!Number.isSafeInteger(every) || every < 1) throw new TypeError(`every must be a number from 1, got ${every}`)
  if (scenarios.length === 0) throw new TypeError("scenarios must hold at least one: nothing would be explored")
  const explored: Explored[] = []
  for (const scenario of scenarios) explored.push(await explore(scenario, depth, every))
  return explored
}

async function explore(scenario: CrashScenario, depth: 1 | 2, every: number): Promise<Explored> {
  const calm = await live(scenario, [], undefined)
  const { points, serverPoints } = calm
  const violations: string[] = []
  let lives = 1
  const die = async (deaths: number[], serverDeath?: number): Promise<Passage> => {
    const passage = await live(scenario, deaths, serverDeath)
    lives += 1
    if (passage.stands === calm.stands) return passage
    const where = serverDeath === undefined ? pointsOf(passage, deaths) : [serverPoints[serverDeath - 1]]
    const died = `${scenario.name}, died at ${where.join(" and ")}: ${passage.stands}`
    violations.push(passage.ended ? `${died}; undisturbed: ${calm.stands}` : died)
    return passage
  }
  if (calm.ended) {
    for (let at = 1; at <= serverPoints.length; at++) await die([], at)
    for (let at = 1; at <= points.length; at++) {
      const first = await die([at])
      // What one death breaks is told once.
      if (depth === 1 || first.stands !== calm.stands) continue
      for (let next = 1; next <= first.points.length - at; next += every) await die([at, next])
    }
  } else violations.push(`${scenario.name}, undisturbed: ${calm.stands}`)
  const names = [...new Set([...points, ...serverPoints])]
  return { scenario: scenario.name, names, hits: points.length + serverPoints.length, lives, violations }
}

/** Where its processes died. Each counts from its own start, the passage from that of the first. */
function pointsOf({ points }: Passage, deaths: readonly number[]): string[] {
  let passed = 0
  return deaths.flatMap((at) => points[(passed += at) - 1] ?? [])
}

/** `deaths`: crash points that the first and the next processes live to see; the last of each kills it. */
async function live(scenario: CrashScenario, deaths: number[], serverDeath: number | undefined): Promise<Passage> {
  const world = await openWorld({ creates: !scenario.isCreated })
  const client = world.mortal([...deaths], "A", world.ref, {}, world.file("A", undefined, scenario.isNew))
  world.server.crashPoints = []
  world.server.killAtHit = serverDeath
  world.server.died = () => void world.clock.timer(restart_ms, () => world.server.restart())
  const record: Stage["record"] =
    (name, more = {}) =>
    () =>
      client.record(name, { captureId: name, ...more })
  const unit: Stage["unit"] = (names) => () => client.unit(names, (name) => ({ captureId: name }))
  const passed = () => ({ points: [...client.crashPoints], serverPoints: [...world.server.crashPoints] })
  try {
    for (const act of scenario.acts({ world, client, record, unit })) await client.survives(act)
    const during = passed()
    client.spare()
    return { ...during, stands: await healed(world), ended: true }
  } catch (error) {
    return { ...passed(), stands: error instanceof Error ? error.message : String(error), ended: false }
  } finally {
    world.abandon()
  }
}

/** The last word: every invariant holds, and nobody told a fault. */
async function healed(world: World): Promise<string> {
  const stands = { ...(await world.healed()), share: world.server.share }
  const faults = world.clients.flatMap((client) => client.faults)
  if (faults.length > 0) throw new Error(`a fault was told: ${String(faults[0])}`)
  return JSON.stringify(stands)
}
