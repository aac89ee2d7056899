/** What is taken for damage of a -wal, and that no process that is killed leaves anything that looks like it. */
import { describe, expect, test } from "bun:test"
import { readFileSync, statSync } from "node:fs"
import { examine, walFault } from "../../src/store/wal.ts"
import { seededRandom } from "../durability/power-loss/seeded-random.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { startChild } from "./child.ts"
import { killedOutbox, page_bytes } from "./damage.ts"

const header_bytes = 32
const frame_bytes = 24 + page_bytes
const many = (count: number) => Array.from({ length: count }, (_, i) => ({ args: [`${i} `.repeat(100)] }))

function walOf(dir: TempDir): Buffer {
  killedOutbox(dir.file(), { after: many(20) })
  return readFileSync(`${dir.file()}-wal`)
}

/** With one bit flipped. */
function flipped(wal: Buffer, at: number): Buffer {
  const copy = Buffer.from(wal)
  copy[at]! ^= 1
  return copy
}

describe("a flipped bit", () => {
  test("anywhere in the header is told as such", async () => {
    await using dir = tempDir()
    const wal = walOf(dir)
    for (let at = 0; at < header_bytes; at++)
      expect([at, examine(flipped(wal, at))]).toEqual([at, { of: "header", bytes: wal.length }])
  })

  test("in any frame but the last is told with the frames that are read and those that were written", async () => {
    await using dir = tempDir()
    const wal = walOf(dir)
    const frames = (wal.length - header_bytes) / frame_bytes
    for (let frame = 0; frame < frames; frame++)
      // Page number, salts, checksum, the page itself.
      for (const at of [3, 8, 23, 24, frame_bytes - 1]) {
        const fault = examine(flipped(wal, header_bytes + frame * frame_bytes + at))
        if (frame === frames - 1) expect(fault).toBeUndefined()
        else expect(fault).toMatchObject({ of: "frame", written: frames })
        if (fault?.of === "frame") expect(fault.read).toBeLessThanOrEqual(frame)
      }
  })
})

describe("is no damage:", () => {
  test("a -wal that is whole, or cut anywhere", async () => {
    await using dir = tempDir()
    const wal = walOf(dir)
    for (let end = wal.length; end >= 0; end -= 997) expect(examine(wal.subarray(0, end))).toBeUndefined()
  })

  test("a file that is not there, and one of zeros", async () => {
    await using dir = tempDir()
    expect([walFault(dir.file()), examine(Buffer.alloc(40_000))]).toEqual([undefined, undefined])
  })

  // A stopped process has left what one killed at that moment would: a write is made, or is not.
  test.if(process.platform === "linux")(
    "what a process leaves that is stopped at any moment, and then killed",
    async () => {
      await using dir = tempDir()
      const stops = Number(process.env["STURDY_WAL_STOPS"] ?? 60)
      let bytes = 0
      for (let life = 1; life <= 6; life++) {
        const random = seededRandom(life)
        await using child = startChild([
          process.execPath,
          `${import.meta.dir}/wal-fixture.ts`,
          dir.file(),
          String(life),
        ])
        expect(await child.line()).toBe("ready")
        for (let stop = 0; stop < stops; stop++) {
          process.kill(child.pid, "SIGCONT")
          // Not a sleep: how far it gets is what is random here.
          for (let turns = random(40); turns > 0; turns--) await new Promise(setImmediate)
          process.kill(child.pid, "SIGSTOP")
          while (stateOf(child.pid) !== "T") await new Promise(setImmediate)
          expect([life, stop, walFault(dir.file())]).toEqual([life, stop, undefined])
          bytes = Math.max(bytes, statSync(`${dir.file()}-wal`).size)
        }
        process.kill(child.pid, "SIGKILL")
        await child.end()
        expect([life, walFault(dir.file())]).toEqual([life, undefined])
      }
      expect(bytes).toBeGreaterThan(100_000)
    },
  )
})

/** Field 3 of /proc/PID/stat: `T` if all of it has been stopped by a signal. */
function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  return stat.slice(stat.lastIndexOf(")") + 2)[0]
}
