/** docs/failure-kit.md names and describes every fault, in the words of the code. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { connectionFaultNames, exchangeFaultNames, faults, work } from "../../src/testing/index.ts"

const page = readFileSync(join(import.meta.dir, "..", "..", "docs", "failure-kit.md"), "utf8")
const rows = [...page.matchAll(/^\| `?([^|`]+?)`? +\| (.+?) +\|$/gm)].map(([, name, says]) => ({ name, says }))

test("every fault of the simulator, and everything that hosts do", () => {
  const isThere = (name: string, says: string) => rows.some((row) => row.name === name && row.says === says)
  expect([...faults, ...work].filter(({ name, says }) => !isThere(name, says)).map(({ name }) => name)).toEqual([])
})

test("every fault of the proxy", () => {
  const names = [...exchangeFaultNames, ...connectionFaultNames]
  expect(names.filter((name) => !rows.some((row) => row.name === name))).toEqual([])
})
