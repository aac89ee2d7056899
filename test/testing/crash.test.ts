/** Crashes at every named point, and again in the recovery. `npm run test:long -- --only crash` tries all pairs. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type CrashScenario, crashScenarios, exploreCrashes } from "../../src/testing/index.ts"

/** Steps that no scenario passes, and who dies in them instead. */
const diedInElsewhere: Record<string, string> = {
  "begin resync": "nobody yet",
  "end resync": "nobody yet",
  "make room": "nobody yet",
  sync: "nobody yet",
  "cut batch": "test/flusher/narrow.test.ts, and the simulator",
  discard: "test/scenario/dead-letter.test.ts",
  "forget rotation": "nobody: one that is not forgotten is what test/flusher/rotate.test.ts goes on with",
  "renew lease": "the simulator, and test/torture",
  "damaged-wal": "test/store/damaged-file.test.ts",
  quarantine: "test/store/quarantine.test.ts",
  "open the -wal": "test/durability/syscall, at each of its calls",
  "write the -wal again": "test/durability/syscall, at each of its calls",
}

/** Names of transactions, and of crash points of their own. */
function declaredSteps(): string[] {
  const src = join(import.meta.dir, "..", "..", "src")
  const files = [...new Bun.Glob("{store,flusher,service}/*.ts").scanSync({ cwd: src })]
  const found = files.flatMap((file) => [
    ...readFileSync(join(src, file), "utf8").matchAll(/\b(?:transact|write|crashPoint)\(\s*"([^":]+)/g),
  ])
  return [...new Set(found.map(([, step]) => step!))]
}

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

test("every step that src declares is died in, here or where it is named", async () => {
  const scenarios = crashScenarios.filter(({ name }) => name !== "prune")
  const explored = await exploreCrashes({ scenarios })
  const died = new Set(explored.flatMap(({ names }) => names.map((name) => name.split(":")[0]!)))
  expect([...died, ...Object.keys(diedInElsewhere)].toSorted()).toEqual(declaredSteps().toSorted())
})

test("a scenario that ends in another way after a crash is told, with the point", async () => {
  const [explored] = await exploreCrashes({ scenarios: [forgetful(1)] })
  expect(explored!.violations[0]).toContain("forgetful, died at open stream:before-commit")
})

test("after two deaths both points are told, the second of them as its own process passed it", async () => {
  const [explored] = await exploreCrashes({ scenarios: [forgetful(2)], depth: 2 })
  expect(explored!.violations).toContainEqual(
    expect.stringContaining("died at open stream:before-commit and open stream:before-commit: "),
  )
  expect(explored!.violations).toContainEqual(
    expect.stringContaining("died at record:before-commit and record:after-commit: "),
  )
})

test("a life that never gets to its end is told with the point", async () => {
  const acts: CrashScenario["acts"] = ({ client, record }) => [
    record("1"),
    () => {
      if (client.lives > 1) throw new Error("it cannot go on")
    },
  ]
  const [explored] = await exploreCrashes({ scenarios: [{ name: "stuck", says: "", acts }] })
  expect(explored!.violations).toContain("stuck, died at record:after-commit: it cannot go on")
})

test("a scenario that does not end undisturbed is told, and no crash is tried in it", async () => {
  const acts = () => [() => Promise.reject(new Error("it cannot go on"))]
  const [explored] = await exploreCrashes({ scenarios: [{ name: "stuck", says: "", acts }] })
  expect(explored).toMatchObject({ lives: 1, violations: ["stuck, undisturbed: it cannot go on"] })
})

test.each([{ depth: 3 }, { depth: 1, every: 0 }, { scenarios: [] }, { scenario: [] }, { scenarios: [{ name: "x" }] }])(
  "exploreCrashes(%j) is refused",
  async (options) => {
    await expect(exploreCrashes(options as never)).rejects.toThrow(TypeError)
  },
)

/** Records something else once so many of its processes have died. */
function forgetful(deaths: number): CrashScenario {
  return {
    name: "forgetful",
    says: "",
    acts: ({ client, record }) => [() => record(client.lives > deaths ? "another" : "1")()],
  }
}
