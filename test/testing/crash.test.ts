/** Crashes at every named point, and again in the recovery. `npm run test:long -- --only crash` tries all pairs. */
import { describe, expect, test } from "bun:test"
import { crashScenarios, exploreCrashes } from "../../src/testing/index.ts"

describe("killed at every crash point, and at the service's, the next process goes on as if nothing had happened:", () => {
  for (const scenario of crashScenarios)
    test(
      scenario.name,
      async () => {
        const [explored] = await exploreCrashes({ scenarios: [scenario] })
        expect(explored!.violations).toEqual([])
        expect(explored!.lives).toBe(explored!.hits + 1)
      },
      { timeout: 60_000 },
    )
})

describe("killed again in the recovery:", () => {
  // A thousand ops in each life: its pairs are of the long run.
  for (const scenario of crashScenarios.filter(({ name }) => name !== "prune"))
    test(
      scenario.name,
      async () => {
        const [explored] = await exploreCrashes({ scenarios: [scenario], depth: 2, every: 7 })
        expect(explored!.violations).toEqual([])
        expect(explored!.lives).toBeGreaterThan(explored!.hits + 1)
      },
      { timeout: 60_000 },
    )
})

test("every declared step of a client and of the service is died in", async () => {
  const scenarios = crashScenarios.filter(({ name }) => name !== "prune")
  const explored = await exploreCrashes({ scenarios })
  const steps = new Set(explored.flatMap(({ names }) => names.map((name) => name.split(":")[0]!)))
  expect(steps).toEqual(
    new Set([
      "migrate",
      "open stream",
      "record",
      "acquire lease",
      "freeze",
      "flush",
      "settle",
      "release lease",
      "record removal",
      "retry",
      "unblock",
      "service",
    ]),
  )
})

test("a scenario that ends in another way after a crash is told, with the point", async () => {
  let lives = 0
  const [explored] = await exploreCrashes({
    scenarios: [{ name: "forgetful", says: "", acts: ({ record }) => [record(lives++ === 0 ? "1" : "another")] }],
  })
  expect(explored!.violations[0]).toContain("forgetful, died at open stream:before-commit")
})

const wrong: [options: unknown, message: string][] = [
  [{ depth: 3 }, "depth must be 1 or 2, got 3"],
  [{ depth: 1, every: 0 }, "every must be a number from 1, got 0"],
  [{ scenario: [] }, "has no field scenario"],
  [{ scenarios: [{ name: "x" }] }, "a scenario has a name, and acts"],
]

test.each(wrong)("exploreCrashes(%j) is refused", (options, message) => {
  expect(exploreCrashes(options as never)).rejects.toThrow(message)
})
