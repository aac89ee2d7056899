/**
 * Crashes at every point: a scenario is lived once for each crash point that it passes, and dies there; with depth 2 the
 * next process dies too, at each of the points that it passes in turn. Whatever dies, everything must end as if nothing had.
 */
import { shapeProblem } from "../../intent/shape.ts"
import { Invariants } from "../world/invariant.ts"
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
  /** Passages of a point in an undisturbed life, each tried. */
  hits: number
  lives: number
  violations: string[]
}

interface Life {
  points: string[]
  serverPoints: string[]
  /** How everything stands at the end, or why it does not. */
  stands: string
}

/** When a service that died is back. */
const restart_ms = 2_000

/** @throws TypeError if the options are none */
export async function exploreCrashes(options: ExploreOptions = {}): Promise<Explored[]> {
  const wrong = shapeProblem(options, ["scenarios", "depth", "every"])
  if (wrong) throw new TypeError(`the options of exploreCrashes: the object ${wrong}`)
  const { scenarios = crashScenarios, depth = 1, every = 1 } = options
  for (const scenario of scenarios)
    if (typeof scenario?.acts !== "function" || typeof scenario.name !== "string")
      throw new TypeError("a scenario has a name, and acts: a function that returns them")
  if (depth !== 1 && depth !== 2) throw new TypeError(`depth must be 1 or 2, got ${String(depth)}`)
  if (!Number.isSafeInteger(every) || every < 1) throw new TypeError(`every must be a number from 1, got ${every}`)
  const explored: Explored[] = []
  for (const scenario of scenarios) explored.push(await explore(scenario, depth, every))
  return explored
}

async function explore(scenario: CrashScenario, depth: 1 | 2, every: number): Promise<Explored> {
  const calm = await live(scenario, [], undefined)
  // Without any crash it must end at all.
  const violations = calm.points.length > 0 ? [] : [`${scenario.name}, undisturbed: ${calm.stands}`]
  let lives = 1
  const die = async (deaths: number[], serverDeath?: number) => {
    const life = await live(scenario, deaths, serverDeath)
    lives += 1
    const [first, second] = deaths
    const where = [
      first && `${calm.points[first - 1]} (passage ${first})`,
      first && second && `${life.points[first + second - 1]} (passage ${second} of the next process)`,
      serverDeath && `${calm.serverPoints[serverDeath - 1]} (passage ${serverDeath})`,
    ]
    if (life.stands !== calm.stands)
      violations.push(
        `${scenario.name}, died at ${where.filter(Boolean).join(" and ")}: ${life.stands}; undisturbed: ${calm.stands}`,
      )
    return life
  }
  for (let at = 1; at <= calm.serverPoints.length; at++) await die([], at)
  for (let at = 1; at <= calm.points.length; at++) {
    const { points } = await die([at])
    if (depth === 2) for (let next = 1; next <= points.length - at; next += every) await die([at, next])
  }
  const names = [...new Set([...calm.points, ...calm.serverPoints])]
  return {
    scenario: scenario.name,
    names,
    hits: calm.points.length + calm.serverPoints.length,
    lives,
    violations,
  }
}

/** `deaths`: crash points that the first and the next processes live to see; the last of each kills it. */
async function live(scenario: CrashScenario, deaths: number[], serverDeath: number | undefined): Promise<Life> {
  const world = await openWorld({ creates: !scenario.isCreated })
  let points: string[] = []
  try {
    const file = world.file("A", undefined, scenario.isNew)
    const client = world.mortal([...deaths], "A", world.ref, {}, file)
    world.server.crashPoints = []
    world.server.killAtHit = serverDeath
    world.server.died = () => void world.clock.timer(restart_ms, () => world.server.restart())
    const record: Stage["record"] =
      (name, more = {}) =>
      () =>
        client.record(name, { captureId: name, ...more })
    const unit: Stage["unit"] = (names) => () => client.unit(names, (name) => ({ captureId: name }))
    points = client.crashPoints
    for (const act of scenario.acts({ world, client, record, unit })) await client.survives(act)
    points = [...client.crashPoints]
    const serverPoints = [...world.server.crashPoints]
    client.spare()
    return { points, serverPoints, stands: await standsOf(world) }
  } catch (error) {
    return { points, serverPoints: [], stands: error instanceof Error ? error.message : String(error) }
  } finally {
    world.abandon()
  }
}

/** The last word: also that every invariant holds, and that nobody told a fault. */
async function standsOf(world: World): Promise<string> {
  const stands = { ...(await world.healed()), share: world.server.share }
  new Invariants(world).check("healed")
  const faults = world.clients.flatMap((client) => client.faults)
  if (faults.length > 0) throw new Error(`a fault was told: ${String(faults[0])}`)
  return JSON.stringify(stands)
}
