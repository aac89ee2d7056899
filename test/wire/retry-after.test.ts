import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { retryAfterMs } from "../../src/wire/retry-after.ts"

const now = Date.parse("Sat, 21 Nov 2026 10:00:00 GMT")

test.each([
  ["nothing", null, undefined],
  ["seconds", "120", 120_000],
  ["seconds with spaces around", " 5 ", 5_000],
  ["no wait", "0", 0],
  ["a date", "Sat, 21 Nov 2026 10:00:30 GMT", 30_000],
  ["a date that has passed", "Sat, 21 Nov 2026 09:00:00 GMT", 0],
  ["seconds beyond the cap", "999999999999", limit.retry_after_ms_max],
  ["a date beyond the cap", "Sat, 21 Nov 2099 10:00:00 GMT", limit.retry_after_ms_max],
  ["text that says nothing", "soon", undefined],
  ["an empty text", "", undefined],
])("%s", (_, header, wait) => {
  expect(retryAfterMs(header, now)).toBe(wait)
})
