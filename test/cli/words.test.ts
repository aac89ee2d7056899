import { expect, test } from "bun:test"
import { agoText, bytesText, count, durationText, timeText, untilText } from "../../src/cli/output/words.ts"

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "0.98 KiB"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [102_400, "100 KiB"],
  [1_048_576, "1 MiB"],
  [374_079_488, "357 MiB"],
  [5 * 1024 ** 4, "5 TiB"],
])("%i bytes are %p", (bytes, text) => {
  expect(bytesText(bytes)).toBe(text)
})

test.each([
  [0, "0 s"],
  [400, "<1 s"],
  [1_999, "1 s"],
  [119_000, "119 s"],
  [120_000, "2 min"],
  [7_199_000, "119 min"],
  [7_200_000, "2 h"],
  [172_800_000, "2 d"],
])("%i ms are %p", (ms, text) => {
  expect(durationText(ms)).toBe(text)
})

test.each([
  [-5, "now"],
  [0, "now"],
  [1, "in 1 s"],
  [1_001, "in 2 s"],
  [120_001, "in 3 min"],
])("what is due in %i ms is due %p", (ms, text) => {
  expect(untilText(1_000_000 + ms, 1_000_000)).toBe(text)
})

test("a time that is ahead of the clock is said to be", () => {
  expect(agoText(1_000_000, 1_005_000)).toBe("5 s ago")
  expect(agoText(1_000_500, 1_000_000)).toBe("0 s ago")
  expect(agoText(1_090_000, 1_000_000)).toBe("90 s in the future")
})

test("a time is local, with its offset, and one that no calendar has is none", () => {
  expect(timeText(Date.parse("2026-03-01T12:00:00Z"))).toMatch(/^2026-0[23]-\d\d \d\d:00:00(Z|[+-]\d\d:\d\d)$/)
  expect(timeText(9e15)).toBe("at no time")
})

test("one is singular", () => {
  expect([count(0, "op"), count(1, "op"), count(1_234, "batch", "batches")]).toEqual(["0 ops", "1 op", "1,234 batches"])
})
