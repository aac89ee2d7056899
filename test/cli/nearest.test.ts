import { expect, test } from "bun:test"
import { editsBetween, nearest } from "../../src/cli/input/nearest.ts"

test.each([
  ["", "", 0],
  ["status", "status", 0],
  ["stauts", "status", 1],
  ["statu", "status", 1],
  ["sttatus", "status", 1],
  ["status", "streams", 4],
  ["ab", "ba", 1],
  ["abc", "", 3],
])("from %p to %p are %i edits", (a, b, edits) => {
  expect(editsBetween(a, b)).toBe(edits)
  expect(editsBetween(b, a)).toBe(edits)
})

test("the nearest name comes first, and one that begins so before one that is misspelled", () => {
  expect(nearest("stream", ["steam", "status", "streams"])).toEqual(["streams", "steam"])
})

test("what differs by more than a third of its letters was not meant", () => {
  expect(nearest("frobnicate", ["status", "ops", "flush"])).toEqual([])
})

test("at most three are named", () => {
  expect(nearest("a", ["ab", "ac", "ad", "ae"])).toHaveLength(3)
})
