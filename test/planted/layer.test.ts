/** What counts as a find: the ways in which a planted bug could seem to be caught, and is not. */
import { describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { TempDir } from "../temp-dir.ts"
import { copyOfProduct, plant } from "./copy.ts"
import { byTest, bySimulator, run } from "./layer.ts"

const doubles = byTest("intent/backoff", "the ceiling doubles until the cap")

describe("a copy", () => {
  test("takes a patch, and the original stays as it is", async () => {
    await using copy = copyOfProduct()
    const original = join(import.meta.dir, "..", "..", "src", "intent", "backoff.ts")
    const before = readFileSync(original, "utf8")
    plant(copy, "jitter-off")
    expect(readFileSync(copy.file("src/intent/backoff.ts"), "utf8")).not.toBe(before)
    expect(readFileSync(original, "utf8")).toBe(before)
  })

  test("takes no patch for code that has changed", async () => {
    await using copy = copyOfProduct()
    writeFileSync(copy.file("src/intent/backoff.ts"), "export {}\n")
    expect(() => plant(copy, "jitter-off")).toThrow("jitter-off.patch does not apply")
  })

  test("takes no patch that is not there", async () => {
    await using copy = copyOfProduct()
    expect(() => plant(copy, "no-such-bug")).toThrow("no-such-bug.patch does not apply")
  })
})

describe("a test", () => {
  test("that passes is clean", async () => {
    await using copy = copyOfProduct()
    expect(await run(doubles, copy.path)).toMatchObject({ clean: true, found: undefined })
  })

  test("that fails has found something, and says by its name what", async () => {
    await using copy = copyOfProduct()
    plant(copy, "jitter-off")
    expect(await run(doubles, copy.path)).toMatchObject({ clean: false, found: doubles.name })
  })

  test("that is not there is neither", async () => {
    await using copy = copyOfProduct()
    const none = byTest("intent/backoff", "no test of this name")
    expect(await run(none, copy.path)).toMatchObject({ clean: false, found: undefined })
  })

  test("whose subject cannot be loaded is neither", async () => {
    await using copy = copyOfProduct()
    writeFileSync(copy.file("src/intent/backoff.ts"), "export function backoffMs( {\n")
    expect(await run(doubles, copy.path)).toMatchObject({ clean: false, found: undefined })
  })

  test("that does not end is neither", async () => {
    await using copy = copyOfProduct()
    writeFileSync(copy.file("src/intent/backoff.ts"), "export function backoffMs() { for (;;); }\n")
    expect(await run(doubles, copy.path, 1_000)).toMatchObject({ clean: false, found: undefined })
  })
})

describe("a simulation", () => {
  const outcomes: Record<string, [prints: unknown, exit: number, outcome: { clean: boolean; found?: string }]> = {
    "without violations is clean": [{ seeds: 9, violations: 0 }, 0, { clean: true }],
    "with violations has found something": [
      { seeds: 9, violations: 2 },
      1,
      { clean: false, found: "2 violations in 9 seeds" },
    ],
    "that ends in an error of its own is neither": [{ seeds: 9, violations: 0 }, 1, { clean: false }],
    "that counts nothing is neither": [{ error: { code: "internal" } }, 1, { clean: false }],
  }
  for (const [name, [prints, exit, { clean, found }]] of Object.entries(outcomes))
    test(name, async () => {
      await using copy = copyOfProduct()
      simulateBy(copy, `console.log("seed 3 …\\n" + ${JSON.stringify(JSON.stringify(prints))}); process.exit(${exit})`)
      expect(await run(bySimulator(9), copy.path)).toMatchObject({ clean, found })
    })

  test("is asked for as many seeds as its budget", async () => {
    await using copy = copyOfProduct()
    simulateBy(copy, `console.log(process.argv.slice(2).join(" "))`)
    expect((await run(bySimulator(9), copy.path)).output.trim()).toBe("simulate --seeds 9 --failures 1 --json")
  })
})

/** In the place of `sturdy`. */
function simulateBy(copy: TempDir, code: string): void {
  writeFileSync(copy.file("src/cli/main.ts"), code)
}
