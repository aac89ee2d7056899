import { expect, test } from "bun:test"
import { lastJson, run } from "./run.ts"

test("simulate --seeds N --json: the last line counts", async () => {
  const { code, out } = await run(["simulate", "--seeds", "20", "--json"])
  expect(code).toBe(0)
  expect(lastJson(out)).toMatchObject({ version: 1, seeds: 20, violations: 0 })
  expect(Object.keys(lastJson(out))).toContain("seconds")
})

test("simulate --seed S shows the steps and the trace, the same each time", async () => {
  const [one, other] = await Promise.all([run(["simulate", "--seed", "5"]), run(["simulate", "--seed", "5"])])
  const hash = /trace hash ([0-9a-f]{16})/
  expect(one.out).toContain("seed 5: processes")
  expect(one.out).toContain("faults end")
  expect(hash.exec(one.out)![1]!).toBe(hash.exec(other.out)![1]!)
})

test("simulate --reach names every fault and branch, and where the others are tried", async () => {
  const { out } = await run(["simulate", "--seeds", "5", "--reach"])
  expect(out).toContain("did answer lost")
  expect(out).toContain("blocked damaged  (test/")
})

test.each([
  [["--seeds", "0"], "--seeds must be a number from 1"],
  [["--seeds", "x"], "--seeds must be a number"],
  [["--seed", "-1"], "--seed"],
  [["--seed", "1", "--seeds", "2"], "--seed is one seed alone"],
  [["--seed", "1", "--from", "2"], "--seed is one seed alone"],
  [["--seeds", "3", "--from", "4294967294"], "there are no seeds beyond 4294967295"],
  [["--failures", "0"], "--failures must be a number from 1"],
  [["--sed", "1"], "there is no option --sed; did you mean --seed?"],
])("simulate %j is wrong usage", async (args, message) => {
  const { code, err } = await run(["simulate", ...args])
  expect(code).toBe(2)
  expect(err).toContain(message)
})
