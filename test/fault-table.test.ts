/** The fault table of ARCHITECTURE.md tells the truth: every test that it names is there. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dir, "..")
const section = readFileSync(join(root, "ARCHITECTURE.md"), "utf8").split("\n## Faults\n")[1]!.split("\n## ")[0]!
/** Cells of each row, without heads and rules. */
const rows = section
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\| (fault|-)/.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  )

/** A test file, or the one of a folder that bears its name. */
function fileOf(name: string): string | undefined {
  const last = name.split("/").at(-1)!
  return [`test/${name}.test.ts`, `test/${name}/${last}.test.ts`].find((path) => existsSync(join(root, path)))
}

/** `N1…` is any test name that contains N1; `…` stands for anything. */
function named(text: string, quoted: string): boolean {
  const pattern = quoted
    .split("…")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("[^\\n]*")
  return new RegExp(pattern).test(text)
}

test("it has rows for network, service, processes, storage and data", () => {
  expect(rows.length).toBeGreaterThan(50)
})

describe.each(rows.map(([fault, , shown]) => [fault!, shown!]))("%s", (_, shown) => {
  const files = [...shown.matchAll(/`([a-z]+\/[a-z0-9-]+)`/g)].map((match) => match[1]!)
  const quoted = [...shown.matchAll(/"([^"]+)"/g)].map((match) => match[1]!)

  test("names tests that are there", () => {
    expect(files.filter((name) => !fileOf(name))).toEqual([])
    // A row of the network may leave its file out: then it is the one of the row before, network-fault.
    const text = [...files, ...(quoted.length > 0 ? ["wire/network-fault"] : [])]
      .map((name) => readFileSync(join(root, fileOf(name)!), "utf8"))
      .join("\n")
    expect(quoted.filter((name) => !named(text, name))).toEqual([])
    expect(files.length + quoted.length).toBeGreaterThan(0)
  })
})
