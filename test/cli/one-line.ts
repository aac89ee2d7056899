import { expect } from "bun:test"
import type { Ran } from "./run.ts"

/** One line with what happened and what to do; no trace of the code behind it. */
export function expectOneLine({ out, err }: Ran): void {
  expect(out).toBe("")
  expect(err.trimEnd().split("\n")).toHaveLength(1)
  // With --json it is an object.
  if (!err.startsWith("{")) expect(err).toStartWith("sturdy: ")
  expect(err).not.toContain("    at ")
}
