/** SQLite may answer BUSY at once, whatever it was told to wait: here the first step of opening does. */
import { expect, test } from "bun:test"
import { SturdyError } from "../../src/intent/error.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { openOutbox } from "../../src/outbox.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"

/** Busy so often, each time after `waits_ms`. */
function busy(times: number, waits_ms: number) {
  const clock = new ManualClock()
  let met = 0
  const crashPoint = (name: string) => {
    if (name !== "migrate:before-commit" || met === times) return
    met += 1
    clock.block(waits_ms)
    throw new SturdyError("busy", "another process recovers it", "Call again.")
  }
  return { seams: { clock, random: systemRandom, crashPoint }, met: () => met }
}

test("an open that is told busy at once is tried again, and comes about", async () => {
  await using dir = tempDir()
  const { seams, met } = busy(3, 0)
  await using outbox = openOutbox(dir.file(), { seams })
  expect([met(), outbox.streams()]).toEqual([3, []])
})

test("an open that has waited as long as a lock is waited for is refused busy", async () => {
  await using dir = tempDir()
  const { seams, met } = busy(9, 2_000)
  expect(errorOf(() => openOutbox(dir.file(), { seams })).code).toBe("busy")
  expect(met()).toBe(1)
})
