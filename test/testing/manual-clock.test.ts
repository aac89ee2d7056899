import { expect, test } from "bun:test"
import { ManualClock } from "../../src/testing/manual-clock.ts"

test("timers fire in the order of their times, each at its own, and one set meanwhile fires within the turn", () => {
  const clock = new ManualClock()
  const seen: [string, number][] = []
  clock.timer(30, () => seen.push(["late", clock.monotonic()]))
  clock.timer(10, () => {
    seen.push(["early", clock.monotonic()])
    clock.timer(5, () => seen.push(["meanwhile", clock.monotonic()]))
  })
  clock.timer(20, () => seen.push(["cancelled", clock.monotonic()])).cancel()
  clock.turn(30)
  expect(seen).toEqual([
    ["early", 10],
    ["meanwhile", 15],
    ["late", 30],
  ])
})

test("a callback that holds the thread beyond the turn makes the next ones late, and no clock goes back", () => {
  const clock = new ManualClock(1_000)
  const seen: number[] = []
  clock.timer(10, () => clock.block(100))
  clock.timer(20, () => seen.push(clock.monotonic(), clock.now()))
  clock.turn(50)
  expect(seen).toEqual([110, 1_110])
  expect([clock.monotonic(), clock.now()]).toEqual([110, 1_110])
})

test("time that passes in a turn within a callback has passed for the turn around it", () => {
  const clock = new ManualClock(1_000)
  clock.timer(10, () => clock.turn(1_000))
  clock.turn(50)
  expect([clock.monotonic(), clock.now()]).toEqual([1_010, 2_010])
})

test("a wall clock that jumps moves no timer", () => {
  const clock = new ManualClock(1_000)
  let fired = 0
  clock.timer(10, () => (fired += 1))
  clock.jump(-500)
  clock.turn(9)
  expect([fired, clock.now(), clock.monotonic()]).toEqual([0, 509, 9])
  clock.turn(1)
  expect(fired).toBe(1)
})

test("a timer that sets itself again without time passing is an error, not a turn without an end", () => {
  const clock = new ManualClock()
  const again = () => void clock.timer(0, again)
  again()
  expect(() => clock.turn(1)).toThrow("without time passing, at 0")
})
