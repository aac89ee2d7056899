/** docs/failure-kit.md names and describes every fault, in the words of the code. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { connectionFaultNames, eachServiceCheck, exchangeFaultNames, faults, work } from "../../src/testing/index.ts"

const root = join(import.meta.dir, "..", "..")
const page = readFileSync(join(root, "docs", "failure-kit.md"), "utf8")
/** Cells of its tables. */
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").map((cell) => cell.trim().replace(/^`([^`]+)`$/, "$1")))

test("every fault of the simulator, and everything that hosts do", () => {
  const isThere = (name: string, says: string) => rows.some(([, named, said]) => named === name && said === says)
  expect([...faults, ...work].filter(({ name, says }) => !isThere(name, says)).map(({ name }) => name)).toEqual([])
})

test("every fate of the proxy, as its comment has it", () => {
  const source = readFileSync(join(root, "src", "testing", "fault-proxy", "fate.ts"), "utf8")
  const members = source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\|\s*\{ fault: "([a-z_]+)"/g)
  const told = [...members].map(([, comment, name]) => {
    const says = comment!
      .replace(/\n\s*\*/g, " ")
      .replace(/\s+/g, " ")
      .replace("@default", "Default:")
      .trim()
    return { name: name!, isThere: rows.some(([, named, , said]) => named === name && said === says) }
  })
  expect(told.filter(({ isThere }) => !isThere)).toEqual([])
  expect(told.map(({ name }) => name)).toEqual([...exchangeFaultNames, ...connectionFaultNames])
})

test("everything that the subject of the conformance suite takes, and all that it may be without", () => {
  const told = (subject: object) => {
    try {
      eachServiceCheck(subject as never)
    } catch (error) {
      return String(error)
    }
    return ""
  }
  const methods = { applied: { method: "put" }, rejected: { method: "refuse" } }
  const subject = { make: () => ({ service: "http://127.0.0.1:1" }), methods }
  const listed = (text: string, from: RegExp) => text.match(from)![1]!.split(", ")
  const fields = listed(told({ ...subject, x: 1 }), /has no field x: there are (.+)$/)
  const called = listed(told({ ...subject, methods: { ...methods, x: 1 } }), /has no field x: there are (.+)$/)
  const without = listed(told({ ...subject, without: ["x"] }), /without may hold (.+), got x$/)
  const names = fields.filter((name) => name !== "methods").concat(called.map((name) => `methods.${name}`))
  expect(names.filter((name) => !rows.some(([, named]) => named === name))).toEqual([])
  expect(without.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})
