/** The tests are themselves tested: each planted bug must be caught by the layer that is named for it. */
import { afterAll, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { copyOfProduct, plant } from "./copy.ts"
import { type Layer, nameOf, type Outcome, run } from "./layer.ts"
import { planted } from "./planted.ts"

// What they find does not depend on the Bun that runs them, and once is a minute: CI's second run has another to test.
const isSecondRun = Boolean(process.env.STURDY_BUN)
if (isSecondRun) console.log("skipped: planted bugs, on another Bun than the pinned one (STURDY_BUN)")

const whole = copyOfProduct()
const runs = new Map<string, Promise<Outcome>>()

afterAll(async () => {
  await Promise.allSettled(runs.values())
  await whole[Symbol.asyncDispose]()
})

test("every patch is in the table, once", () => {
  const patches = readdirSync(import.meta.dir).flatMap((name) => (name.endsWith(".patch") ? [name.slice(0, -6)] : []))
  expect(planted.map(({ patch }) => patch).toSorted()).toEqual(patches.toSorted())
})

planted.forEach(({ patch, wrong, caughtBy }, index) =>
  test.skipIf(isSecondRun)(`${patch} (${wrong}) is caught by ${nameOf(caughtBy)}`, async () => {
    const outcome = withBug(index)
    // Two at a time. Only ever the next one: of a single test that is asked for, not the whole table.
    if (index + 1 < planted.length) withBug(index + 1).catch(() => {})
    const before = await withoutBug(caughtBy)
    expect(before.clean ? "clean" : before.output).toBe("clean")
    const { found, output } = await outcome
    if (found === undefined) throw new Error(`not found:\n${output}`)
    if (caughtBy.kind === "test") expect(found).toBe(caughtBy.name)
  }),
)

function withBug(index: number): Promise<Outcome> {
  const { patch, caughtBy } = planted[index]!
  return once(patch, async () => {
    await using copy = copyOfProduct()
    plant(copy, patch)
    return await run(caughtBy, copy.path)
  })
}

function withoutBug(layer: Layer): Promise<Outcome> {
  return once(nameOf(layer), () => run(layer, whole.path))
}

function once(name: string, work: () => Promise<Outcome>): Promise<Outcome> {
  const known = runs.get(name) ?? work()
  runs.set(name, known)
  return known
}
