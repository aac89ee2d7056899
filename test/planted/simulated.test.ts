/** The simulator alone finds these planted bugs, each within its seeds: as many as the survey needed, and half as many more. */
import { expect, test } from "bun:test"
import { copyOfProduct, plant } from "./copy.ts"
import { bySimulator, run } from "./layer.ts"
import { planted } from "./planted.ts"
import { simulated } from "./simulated.ts"

const isSecondRun = Boolean(process.env.STURDY_BUN)

test("every patch in the table of the simulator is one of a planted bug", () => {
  const patches = new Set(planted.map(({ patch }) => patch))
  expect(Object.keys(simulated).filter((patch) => !patches.has(patch))).toEqual([])
})

test.skipIf(isSecondRun)("without a planted bug the same seeds find nothing", async () => {
  await using copy = copyOfProduct()
  const { clean, output } = await run(bySimulator(Math.max(...Object.values(simulated))), copy.path)
  expect(clean ? "clean" : output).toBe("clean")
})

for (const [patch, seeds] of Object.entries(simulated))
  test.skipIf(isSecondRun)(`${patch} is found within ${seeds} seeds`, async () => {
    await using copy = copyOfProduct()
    plant(copy, patch)
    const { found, output } = await run(bySimulator(seeds), copy.path)
    if (found === undefined) throw new Error(`not found:\n${output}`)
  })
