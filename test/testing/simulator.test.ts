/** The simulator: that it finds nothing in Sturdy, does the same again, and would find something. */
import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { faults, planOf, reach, run, shrink, simulate, work, type Plan } from "../../src/testing/index.ts"

/** SEEDS=n tries more, FROM=s others. */
const seeds = Number(process.env.SEEDS ?? 1_000)
const from = Number(process.env.FROM ?? 1)

test(
  `${seeds} seeds from ${from}: after every event the invariants hold, and at the end everything drains`,
  async () => {
    const { failures, ...report } = await simulate({ seeds, from })
    expect(failures.map(({ plan, outcome }) => `seed ${plan.seed}: ${outcome.violation}`)).toEqual([])
    expect(report.seeds).toBe(seeds)
    // Fewer seeds may miss the rarest.
    const missed = reach(report.met).filter(({ what, count }) => what.startsWith("did ") && count === 0)
    expect(seeds < 1_000 ? [] : missed).toEqual([])
  },
  { timeout: 600_000 },
)

test("a seed does the same again, whatever was run before it", async () => {
  const first = await run(planOf(7))
  await simulate({ seeds: 20, from: 100 })
  const second = await run(planOf(7))
  expect(second.trace).toEqual(first.trace)
  expect(second.hash).toBe(first.hash)
})

test("two seeds do different things", async () => {
  const [one, other] = [await run(planOf(7)), await run(planOf(8))]
  expect(one.hash).not.toBe(other.hash)
})

test("a plan names what it does: knobs, and steps with the time before them", () => {
  const { knobs, steps } = planOf(3)
  expect(knobs.processes).toBeGreaterThan(0)
  expect(steps.length).toBeGreaterThan(5)
  for (const { after_ms, does } of steps) expect([after_ms >= 0, typeof does]).toEqual([true, "string"])
})

test("reach names all that was not met, and the tests that it sends to are there", () => {
  const reached = reach(new Map([["did answer lost", 3]]))
  expect(reached).toContainEqual({ what: "did answer lost", count: 3, elsewhere: undefined })
  expect(reached.filter(({ what }) => what.startsWith("did "))).toHaveLength(faults.length + work.length)
  const paths = reached.flatMap(({ elsewhere }) => elsewhere?.match(/^test\/[^:]+/) ?? [])
  expect(paths.length).toBeGreaterThan(5)
  expect(paths.filter((path) => !existsSync(join(import.meta.dir, "..", "..", path)))).toEqual([])
})

describe("a plan that fails", () => {
  /** Not a bug of Sturdy's: the plan itself is wrong. */
  const failing: Plan = {
    ...planOf(11),
    steps: [...planOf(11).steps, { after_ms: 0, does: "no such rule" as never, seed: 1 }],
  }

  test("is told with what did not hold", async () => {
    expect((await run(failing)).violation).toContain("there is none of that name")
  })

  test("is shrunk to the steps that are enough", async () => {
    const { plan, outcome } = await shrink(failing, await run(failing))
    expect(plan.steps.map(({ does }) => does as string)).toEqual(["no such rule"])
    expect(outcome.violation).toContain("there is none of that name")
  })
})

test.each([
  { seeds: -1 },
  { seeds: 0 },
  { seeds: 1.5 },
  { seeds: 1, from: NaN },
  { seeds: 2, from: 2 ** 32 - 1 },
  { seeds: 1, failures_max: 0 },
  { seeds: 1, sedes: 1 } as never,
  undefined as never,
])("simulate(%j) is refused", async (options) => {
  await expect(simulate(options)).rejects.toThrow(TypeError)
})

test.each([-1, 1.5, NaN, 2 ** 32, "7" as never])("planOf(%p) is refused", (seed) => {
  expect(() => planOf(seed)).toThrow("a seed is a whole number from 0 to 4294967295")
})

test.each([undefined, {}, { seed: 1, knobs: null, steps: [] }, { ...planOf(1), step: [] }])(
  "run(%p) is refused",
  async (plan) => {
    await expect(run(plan as never)).rejects.toThrow(/^a plan (must|has)/)
  },
)

test("a plan that does not fail is not shrunk", async () => {
  const plan = planOf(7)
  await expect(shrink(plan, await run(plan))).rejects.toThrow("seed 7 did not fail")
})
