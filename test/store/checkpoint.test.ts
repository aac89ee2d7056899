import { describe, expect, test } from "bun:test"
import { statSync } from "node:fs"
import { checkpoint_idle_ms, wal_bytes_max } from "../../src/intent/limit.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { openOutbox } from "../../src/index.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { tempDir } from "../temp-dir.ts"

describe("the WAL", () => {
  test("stays within its cap while ops are recorded without a pause", async () => {
    await using dir = tempDir()
    // The clock stands: nothing is ever idle, so only the cap can bound it.
    const seams = { clock: new ManualClock(), random: systemRandom, crashPoint: () => {} }
    const outbox = openOutbox(dir.file(), { seams })
    outbox.pause()
    const stream = outbox.stream("notes", outbox.newRef("http://127.0.0.1:9/rpc/share"))
    let largest = 0
    for (let i = 0; i < 6_000; i++) {
      stream.record({ method: "put", args: [i], key: `note/${i}`, captureId: `event ${i}` })
      largest = Math.max(largest, statSync(`${dir.file()}-wal`).size)
    }
    expect({ withinCap: largest <= wal_bytes_max, nearCap: largest > wal_bytes_max / 2 }).toEqual({
      withinCap: true,
      nearCap: true,
    })
    await outbox.close({ flush_ms: 0 })
  })

  // A clock that shows fractions, as the real one does: the wait minus what has passed need not come out at 0.
  test("is copied back once nothing was recorded for a while, whatever fraction of a millisecond it is", async () => {
    await using dir = tempDir()
    const clock = new ManualClock()
    const outbox = openOutbox(dir.file(), { seams: { clock, random: systemRandom, crashPoint: () => {} } })
    outbox.pause()
    const stream = outbox.stream("notes", outbox.newRef("http://127.0.0.1:9/rpc/share"))
    const sizes = new Set<number>()
    for (let i = 0; i < 50; i++) {
      clock.block(2.0137)
      stream.record({ method: "put", args: [i] })
      // The timer may have been set by what was written before: it is set again for what is left, rounded up.
      clock.turn(checkpoint_idle_ms + 1)
      sizes.add(statSync(`${dir.file()}-wal`).size)
    }
    expect([...sizes]).toEqual([0])
    await outbox.close({ flush_ms: 0 })
  })
})
