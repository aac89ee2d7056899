import { describe, expect, test } from "bun:test"
import { statSync } from "node:fs"
import { wal_bytes_max } from "../../src/intent/limit.ts"
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
})
