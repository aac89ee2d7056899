import { describe, expect, test } from "bun:test"
import { assert, errorTable, InvariantError, SturdyError, type SturdyErrorCode } from "../../src/intent/error.ts"

const codes = Object.entries(errorTable) as [SturdyErrorCode, { retriable: boolean; exit: number }][]

describe("every code of the table", () => {
  for (const [code, { retriable, exit }] of codes)
    test(`${code} makes an error that tells whether it is retriable, and an exit code of the CLI`, () => {
      const error = new SturdyError(code, "what happened", "what to do")
      expect([error.code, error.retriable, error.hint, error.indeterminate]).toEqual([
        code,
        retriable,
        "what to do",
        false,
      ])
      expect([1, 2, 3]).toContain(exit)
    })
})

test("only a lock, a full disk and its faults, and a rotation without an answer are retriable", () => {
  expect(codes.flatMap(([code, { retriable }]) => (retriable ? [code] : []))).toEqual([
    "rotation_unfinished",
    "busy",
    "disk_full",
    "storage_fault",
  ])
})

test("an error keeps its cause, and has none where none was given", () => {
  const cause = new Error("below")
  expect(new SturdyError("busy", "m", "h", { cause }).cause).toBe(cause)
  expect("cause" in new SturdyError("busy", "m", "h")).toBe(false)
})

test("a failed assertion is a bug, not a fault", () => {
  expect(() => assert(false, "cannot be")).toThrow(InvariantError)
})
