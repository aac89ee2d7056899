/** docs/failure-kit.md names and describes every fault, in the words of the code. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { connectionFaultNames, exchangeFaultNames, faults, work } from "../../src/testing/index.ts"

const root = join(import.meta.dir, "..", "..")
const page = readFileSync(join(root, "docs", "failure-kit.md"), "utf8")
const rows = [...page.matchAll(/^\| (`?)([^|`]+?)`? +\| (.+?) +\|$/gm)].map(([, quote, name, says]) => ({
  isCode: quote !== "",
  name: name!,
  says: says!,
}))

/** Fates of the proxy, in order, with the comment that stands before each. */
const source = readFileSync(join(root, "src", "testing", "fault-proxy", "fate.ts"), "utf8")
const fates = [...source.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*\| \{ fault: "(\w+)"/gs)].map(([, comment, name]) => ({
  name: name!,
  says: comment!
    .replaceAll(/\s+(\* ?)?/g, " ")
    .split("@default")[0]!
    .trim(),
}))

test("every fault of the simulator, and everything that hosts do", () => {
  const isThere = (name: string, says: string) => rows.some((row) => row.name === name && row.says === says)
  expect([...faults, ...work].filter(({ name, says }) => !isThere(name, says)).map(({ name }) => name)).toEqual([])
})

test("every fault of the proxy", () => {
  expect(fates.map(({ name }) => name).toSorted()).toEqual([...exchangeFaultNames, ...connectionFaultNames].toSorted())
  expect(rows.filter(({ isCode }) => isCode).map(({ name, says }) => ({ name, says }))).toEqual(fates)
})
