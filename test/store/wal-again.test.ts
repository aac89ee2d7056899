/** A -wal that may not be on disk though the kernel thinks so: written again before it is relied on. */
import { describe, expect, test } from "bun:test"
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { writeAgain } from "../../src/store/wal-again.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox } from "./box.ts"
import { killedOutbox } from "./damage.ts"

describe("writing again", () => {
  for (const bytes of [0, 1, 1024 * 1024, 2 * 1024 * 1024 + 777])
    test(`${bytes} bytes leaves them as they are`, async () => {
      await using dir = tempDir()
      const content = Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 31) & 255))
      writeFileSync(dir.file(), content)
      const fd = openSync(dir.file(), "r+")
      writeAgain(fd, dir.file())
      closeSync(fd)
      expect(readFileSync(dir.file()).equals(content)).toBe(true)
    })

  test("what cannot be written is a storage_fault", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "frames")
    const fd = openSync(dir.file(), "r")
    expect(errorOf(() => writeAgain(fd, dir.file()))).toMatchObject({ code: "storage_fault", retriable: true })
    closeSync(fd)
  })
})

describe("what an earlier process left in the -wal", () => {
  test("is written again before the first durable(), under the lock: busy while another holds it, and then durable", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    await using box = openQuietOutbox(dir.file())
    const { mtimeNs } = statSync(`${dir.file()}-wal`, { bigint: true })
    using other = new ScopedDatabase(dir.file())
    other.run("begin immediate")
    const refused = await box.outbox.durable().catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: "busy" })
    expect(statSync(`${dir.file()}-wal`, { bigint: true }).mtimeNs).toBe(mtimeNs)
    other.run("rollback")
    await box.outbox.durable()
    expect(statSync(`${dir.file()}-wal`, { bigint: true }).mtimeNs).toBeGreaterThan(mtimeNs)
  })

  test("is not written a second time", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    await using box = openQuietOutbox(dir.file())
    await box.outbox.durable()
    using other = new ScopedDatabase(dir.file())
    box.notes.record({ method: "put", args: [1] })
    // Who holds the lock is in nobody's way.
    other.run("begin immediate")
    await box.outbox.durable()
    other.run("rollback")
  })
})
