/** One instant of a file that others may write, read and copied by other means than SQLite's. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { dirname } from "node:path"
import { describe, expect, test } from "bun:test"
import { systemClock } from "../../src/intent/system.ts"
import type { Clock } from "../../src/intent/seam.ts"
import { atOneInstant, signatureOf } from "../../src/store/instant.ts"
import { fromPlainCopy } from "../../src/store/plain-copy.ts"
import { OutboxView } from "../../src/store/reading.ts"
import { openOutbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { closedOutbox } from "./damage.ts"
import { ownTemporaryFolder } from "./temporary-folder.ts"

/** Long after whatever was written; each pause does as it is told. */
const clockAt = (now: () => number, block: () => void = () => {}): Clock => ({ ...systemClock, now, block })
const later = () => Date.now() + 60_000

describe("one instant", () => {
  test.each(["", "-wal", "-journal"])("is not one in which the file%s changed: it is read again", async (suffix) => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "a")
    let reads = 0
    const found = atOneInstant(dir.file(), clockAt(later), () => {
      if (++reads === 1) appendFileSync(dir.file() + suffix, "b")
      return reads
    })
    expect([found, reads]).toEqual([{ found: 2 }, 2])
  })

  test("begins when the last write is old enough to be told from the next", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "a")
    const written = statSync(dir.file()).mtimeMs
    let paused = 0
    const clock = clockAt(
      () => written + 7 * paused,
      () => void (paused += 1),
    )
    expect(atOneInstant(dir.file(), clock, () => paused)).toEqual({ found: 3 })
  })

  test("is now where a file's time is ahead, by a clock that was wrong", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "a")
    utimesSync(dir.file(), new Date(), new Date(Date.now() + 3_600_000))
    expect(
      atOneInstant(
        dir.file(),
        clockAt(() => Date.now()),
        () => true,
      ),
    ).toEqual({ found: true })
  })

  test("is none where somebody writes without a pause", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "a")
    expect(atOneInstant(dir.file(), clockAt(later), () => appendFileSync(dir.file(), "b"))).toBeUndefined()
  })

  test("differs from one at which the file has gone", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "a")
    expect(signatureOf(dir.file())).not.toBe(signatureOf(dir.file("gone.db")))
  })
})

describe("a plain copy", () => {
  const left = ownTemporaryFolder().copies

  test("has what lies beside the file, is for its owner alone, and goes as a whole", async () => {
    await using dir = tempDir()
    for (const suffix of ["", "-wal", "-journal"]) {
      writeFileSync(dir.file() + suffix, `of ${suffix}`)
      chmodSync(dir.file() + suffix, 0o644)
    }
    fromPlainCopy(dir.file(), clockAt(later), (copy) => {
      for (const suffix of ["", "-wal", "-journal"]) {
        expect(readFileSync(copy + suffix, "utf8")).toBe(`of ${suffix}`)
        expect(statSync(copy + suffix).mode & 0o777).toBe(0o600)
      }
      expect(statSync(dirname(copy)).mode & 0o777).toBe(0o700)
    })
    expect(left()).toEqual([])
  })

  test("is none of a file that this process has open: a lock of SQLite's would be lost", async () => {
    await using dir = tempDir()
    await using outbox = openOutbox(dir.file())
    expect(fromPlainCopy(dir.file(), clockAt(later), (copy) => copy)).toBeUndefined()
    void outbox.close({ flush_ms: 0 })
  })

  test("that cannot be made leaves nothing", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    mkdirSync(`${dir.file()}-journal`)
    expect(errorOf(() => fromPlainCopy(dir.file(), clockAt(later), (copy) => copy)).code).toBe("database_unopenable")
    expect(left()).toEqual([])
  })

  test("of what is written without a pause is none, and leaves nothing", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    const now = () => Math.ceil(statSync(dir.file()).mtimeMs)
    expect(fromPlainCopy(dir.file(), clockAt(now), (copy) => copy)).toBeUndefined()
    expect(left()).toEqual([])
  })
})

describe("a view", () => {
  test("of a file that changes under every look is given up after thirty, and says so", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    const view = new OutboxView(dir.file())
    let reads = 0
    const error = errorOf(() =>
      view.read(() => {
        reads += 1
        using other = new ScopedDatabase(dir.file())
        other.run("update sturdy_stream set attempts = attempts + 1")
      }),
    )
    view.close()
    expect([error.code, reads]).toEqual(["busy", 30])
  })

  test("throws what its body threw, once", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    const view = new OutboxView(dir.file())
    let reads = 0
    const read = () =>
      view.read(() => {
        reads += 1
        throw new Error("of the body")
      })
    expect(read).toThrow("of the body")
    view.close()
    expect(reads).toBe(1)
  })

  test.skipIf(process.platform !== "linux")("that is closed has nothing open", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    const open = () => readdirSync("/proc/self/fd").length
    const view = new OutboxView(dir.file())
    const before = open()
    view.read((db) => db.query("select 1 from sturdy_meta").get())
    expect(open()).toBeGreaterThan(before)
    view.close()
    expect(open()).toBe(before)
  })
})
