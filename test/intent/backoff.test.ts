import { expect, test } from "bun:test"
import fc from "fast-check"
import { backoffMs } from "../../src/intent/backoff.ts"
import { retry_delay_ms_max as max_ms, retry_delay_ms_min as min_ms } from "../../src/intent/limit.ts"
import { systemRandom } from "../../src/intent/system.ts"

const drawing = (fraction: number) => ({ ...systemRandom, fraction: () => fraction })

test("the delay is at least 0 and below the doubled minimum and the cap, whatever is drawn", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, fraction) => {
        const delay = backoffMs(n, { min_ms, max_ms }, drawing(fraction))
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThan(Math.min(max_ms, min_ms * 2 ** (n - 1)))
        expect(Number.isInteger(delay)).toBe(true)
      },
    ),
  )
})

test("the ceiling doubles until the cap", () => {
  const ceilings = [1, 2, 3, 8, 9, 100].map((n) => backoffMs(n, { min_ms: 500, max_ms: 60_000 }, drawing(0.5)) * 2)
  expect(ceilings).toEqual([500, 1_000, 2_000, 60_000, 60_000, 60_000])
})

test("the delay is also random at the cap, over the whole range", () => {
  const delays = [0, 0.25, 0.5, 0.999].map((fraction) => backoffMs(1_000, { min_ms, max_ms }, drawing(fraction)))
  expect(delays).toEqual([0, 15_000, 30_000, 59_940])
})
