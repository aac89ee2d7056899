/** The outbox file, its -wal or its -shm damaged by somebody else, while it is open and before. */
import { describe, expect, test } from "bun:test"
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs"
import * as limit from "../../src/intent/limit.ts"
import { openOutbox } from "../../src/outbox.ts"
import { openBox, record } from "../flusher/box.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore } from "./box.ts"
import { startChild } from "./child.ts"
import { closedOutbox, flip, killedOutbox, leafOf, page_bytes, ruin } from "./damage.ts"

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ args: [`${i} `.repeat(100)] }))
const puts = (box: ReturnType<typeof openQuietOutbox>, count: number) => {
  for (let i = 0; i < count; i++) box.notes.record({ method: "put", args: [`${i} `.repeat(100)] })
}

describe("the file cut while it is open,", () => {
  for (const size of [0, 50])
    test(`to ${size} bytes: at the next checkpoint it is noticed, record says so, and the next open refuses it`, async () => {
      await using dir = tempDir()
      {
        await using box = openQuietOutbox(dir.file())
        puts(box, 50)
        box.clock.turn(limit.checkpoint_idle_ms)
        expect(statSync(`${dir.file()}-wal`).size).toBe(0)
        truncateSync(dir.file(), size)
        // SQLite has the pages in memory and asks the file for nothing: this op is in the -wal.
        box.notes.record({ method: "put", args: [1] })
        box.clock.turn(limit.checkpoint_idle_ms)
        for (let n = 0; n < 2; n++)
          expect(errorOf(() => box.notes.record({ method: "put", args: [2] }))).toMatchObject({
            code: "database_corrupt",
            indeterminate: false,
          })
        await box.outbox.durable()
      }
      expect(existsSync(`${dir.file()}-suspect`)).toBe(true)
      const wal = readFileSync(`${dir.file()}-wal`)
      expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
      await using box = openQuietOutbox(dir.file(), { damaged: "quarantine" })
      expect(readFileSync(`${box.outbox.quarantined!.file}-wal`).equals(wal)).toBe(true)
    })

  test("as long as all of it is in the -wal too: nothing is lost, and the checkpoint writes it anew", async () => {
    await using dir = tempDir()
    {
      await using box = openQuietOutbox(dir.file())
      puts(box, 50)
      truncateSync(dir.file(), 0)
      puts(box, 1)
      box.clock.turn(limit.checkpoint_idle_ms)
      puts(box, 1)
    }
    await using box = openQuietOutbox(dir.file())
    expect(box.notes.status().pending).toBe(52)
  })
})

describe("a page overwritten while the file is open:", () => {
  test("who reads it says database_corrupt, whoever does not goes on, and the next open refuses the file", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(100))
    const page = leafOf(dir.file(), "sturdy_op")
    {
      using store = openStore(dir.file())
      ruin(dir.file(), page)
      store.record({})
      expect(errorOf(() => store.freeze())).toMatchObject({ code: "database_corrupt", indeterminate: false })
      store.record({})
      expect(store.count("sturdy_batch")).toBe(0)
    }
    expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
  })
})

describe("a page overwritten before it is opened:", () => {
  for (const table of ["sturdy_meta", "sturdy_stream", "sturdy_lease", "sturdy_op"])
    test(`of ${table}: open or the first use that needs it says database_corrupt, and never anything untyped`, async () => {
      await using dir = tempDir()
      {
        using store = openStore(dir.file())
        store.record(...many(100))
        store.term()
        store.db.run("update sturdy_lease set time_expires = 0")
      }
      ruin(dir.file(), leafOf(dir.file(), table))
      for (let n = 0; n < 2; n++) {
        const { code } = await rejectionOf(useOnce(dir.file()))
        expect(code).toBe("database_corrupt")
      }
    })
})

/** What a host does: opens, finds its stream, flushes. */
async function useOnce(file: string): Promise<unknown> {
  const outbox = openOutbox(file, { transport: () => Promise.reject(new Error("nothing may be sent")) })
  try {
    outbox.stream("notes")
    return await outbox.flush()
  } finally {
    await outbox.close({ flush_ms: 0 })
  }
}

const wals: Record<string, (wal: string) => void> = {
  "one byte flipped": (wal) => flip(wal, Math.floor(statSync(wal).size / 2)),
  "cut in half": (wal) => truncateSync(wal, Math.floor(statSync(wal).size / 2)),
  "cut within its header": (wal) => truncateSync(wal, 20),
  "its magic overwritten": (wal) => flip(wal, 1),
  deleted: (wal) => rmSync(wal),
}

describe("the -wal of a process that was killed,", () => {
  for (const [name, damage] of Object.entries(wals)) {
    test(`${name}: the outbox opens with the first of its ops, without a gap, and takes new ones`, async () => {
      await using dir = tempDir()
      const ids = killedOutbox(dir.file(), { before: many(5), after: many(40) })
      damage(`${dir.file()}-wal`)
      using store = openStore(dir.file())
      const left = store.pendingIds()
      expect(left).toEqual(ids.slice(0, left.length))
      expect(left.length).toBeGreaterThanOrEqual(5)
      expect(left.length).toBeLessThan(45)
      store.record({})
      expect(store.freeze().flatMap((batch) => batch.ops)).toHaveLength(left.length + 1)
    })

    test(`${name}, and the service had seen more: nothing is applied twice, and what is new is applied`, async () => {
      await using box = await openBox()
      const before = "1 2 3"
      const after = ["4", "5", "6", "7", "8", "9"]
      {
        const outbox = box.open()
        record(box.stream(outbox), before)
        await box.run(outbox.flush())
        await box.turn(2 * limit.checkpoint_idle_ms)
        for (const name of after) {
          record(box.stream(outbox), name)
          await box.run(outbox.flush())
        }
      }
      const file = box.dir.file("next.db")
      for (const suffix of ["", "-wal"]) copyFileSync(box.dir.file() + suffix, file + suffix)
      damage(`${file}-wal`)
      const next = box.open({}, file)
      record(box.stream(next), "10 11")
      expect(await box.run(next.flush())).toEqual({ settled: true, blocked: [] })
      expect(box.effects).toEqual([...before.split(" "), ...after, "10", "11"])
      expect([box.row("s", file).twin_count, box.stream(next).status().pending]).toEqual([1, 0])
    })
  }
})

test("the -shm cut while it is open kills the process (SIGBUS, by the kernel): the next one has every op", async () => {
  await using dir = tempDir()
  await using child = startChild(
    [process.execPath, `${import.meta.dir}/quarantine-fixture.ts`, dir.file(), "first"],
    "ignore",
  )
  await child.line()
  child.go()
  expect(await child.line()).toBe("{}")
  truncateSync(`${dir.file()}-shm`, 0)
  child.go()
  expect(await child.end()).not.toBe(0)
  await using box = openQuietOutbox(dir.file())
  expect(box.notes.status().pending).toBe(1)
})

test("an outbox cut to whole pages is refused: its header says how many there must be", async () => {
  await using dir = tempDir()
  closedOutbox(dir.file(), many(100))
  truncateSync(dir.file(), 10 * page_bytes)
  const use = () => {
    using store = openStore(dir.file())
    store.freeze()
  }
  expect(errorOf(use).code).toBe("database_corrupt")
})
