/** The outbox file, its -wal or its -shm damaged by somebody else, while it is open and before. */
import { describe, expect, test } from "bun:test"
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs"
import * as limit from "../../src/intent/limit.ts"
import { openOutbox } from "../../src/outbox.ts"
import { openBox, record } from "../flusher/box.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore } from "./box.ts"
import { startChild } from "./child.ts"
import { closedOutbox, flip, hashes, hashOf, killedOutbox, leafOf, overwrite, page_bytes, ruin } from "./damage.ts"

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ args: [`${i} `.repeat(100)] }))
const puts = (box: ReturnType<typeof openQuietOutbox>, count: number) => {
  for (let i = 0; i < count; i++) box.notes.record({ method: "put", args: [`${i} `.repeat(100)] })
}
const another = (file: string, name: string, ...more: string[]) =>
  startChild([process.execPath, `${import.meta.dir}/quarantine-fixture.ts`, file, name, ...more])

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

/** Nothing tells it from what a kill, or nobody at all, leaves. */
const unnoticed: Record<string, (wal: string) => void> = {
  "cut in half": (wal) => truncateSync(wal, Math.floor(statSync(wal).size / 2)),
  "cut within its header": (wal) => truncateSync(wal, 20),
  deleted: (wal) => rmSync(wal),
}
const noticed = { "one byte flipped": (wal: string) => flip(wal, Math.floor(statSync(wal).size / 2)) }

describe("the -wal of a process that was killed,", () => {
  for (const [name, damage] of Object.entries({ ...unnoticed, ...noticed })) {
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
      expect(next.quarantined !== undefined).toBe(name in noticed)
      record(box.stream(next), "10 11")
      expect(await box.run(next.flush())).toEqual({ settled: true, blocked: [] })
      expect(box.effects).toEqual([...before.split(" "), ...after, "10", "11"])
      expect([box.row("s", file).twin_count, box.stream(next).status().pending]).toEqual([1, 0])
    })
  }

  for (const [name, damage] of Object.entries(unnoticed))
    test(`${name}: it cannot be told from one that never had more, and nobody is told`, async () => {
      await using dir = tempDir()
      killedOutbox(dir.file(), { before: many(5), after: many(40) })
      damage(`${dir.file()}-wal`)
      await using box = openQuietOutbox(dir.file())
      expect(box.outbox.quarantined).toBeUndefined()
    })
})

describe("a -wal damaged behind whole frames", () => {
  const frame_bytes = 24 + page_bytes
  const frameAt = (frame: number) => 32 + frame * frame_bytes + 100

  test("is kept, and the host is told how much of it could be read: by the property, and by the event", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { before: many(5), after: many(40) })
    flip(`${dir.file()}-wal`, frameAt(20))
    const wal = readFileSync(`${dir.file()}-wal`)
    const told: unknown[] = []
    await using box = openQuietOutbox(dir.file())
    box.outbox.on("quarantined", (event) => told.push(event))
    box.clock.turn(0)
    const { file, message } = box.outbox.quarantined!
    expect(file).toBe(`${dir.file()}-wal.damaged-20231114T221320Z`)
    expect(message).toMatch(
      new RegExp(`-wal was damaged.* \\d+ of ${(wal.length - 32) / frame_bytes} frames.*${file}$`),
    )
    expect(told).toEqual([box.outbox.quarantined])
    expect(readFileSync(file).equals(wal)).toBe(true)
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600")
  })

  test("is told once: the next process finds an outbox that is whole, also after another kill", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { before: many(5), after: many(40) })
    flip(`${dir.file()}-wal`, frameAt(20))
    let pending: number
    {
      await using box = openQuietOutbox(dir.file())
      puts(box, 3)
      pending = box.notes.status().pending
      for (const suffix of ["", "-wal"]) copyFileSync(dir.file() + suffix, dir.file("killed.db") + suffix)
    }
    await using box = openQuietOutbox(dir.file("killed.db"))
    expect([box.outbox.quarantined, box.notes.status().pending]).toEqual([undefined, pending])
  })

  test("from its first frame, with no checkpoint yet: the outbox begins empty, and the host is told", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { after: many(40), checkpoint: false })
    flip(`${dir.file()}-wal`, frameAt(0))
    await using box = openQuietOutbox(dir.file())
    expect([box.notes.status().recorded, box.outbox.quarantined?.message]).toEqual([
      0,
      expect.stringContaining(" 0 of "),
    ])
  })

  test("twice within one second: the second one gets a name of its own", async () => {
    await using dir = tempDir()
    const kept: string[] = []
    for (let n = 0; n < 2; n++) {
      for (const suffix of ["", "-wal"]) rmSync(dir.file() + suffix, { force: true })
      killedOutbox(dir.file(), { after: many(40) })
      flip(`${dir.file()}-wal`, frameAt(20))
      await using box = openQuietOutbox(dir.file())
      kept.push(box.outbox.quarantined!.file)
    }
    expect(kept[1]).toBe(`${kept[0]}-2`)
    expect(kept.every((file) => statSync(file).size > frameAt(20))).toBe(true)
  })

  for (const point of ["damaged-wal:before-rename", "damaged-wal:after-rename"])
    test(`and the process that meets it killed at ${point}: the -wal is kept, and every op before the damage`, async () => {
      await using dir = tempDir()
      const ids = killedOutbox(dir.file(), { before: many(5), after: many(40) })
      flip(`${dir.file()}-wal`, frameAt(20))
      const wal = readFileSync(`${dir.file()}-wal`)
      await using killed = another(dir.file(), "killed", point)
      await killed.line()
      killed.go()
      expect(await killed.end()).toBe("SIGKILL")
      await openQuietOutbox(dir.file())[Symbol.asyncDispose]()
      const kept = readdirSync(dir.path).filter((name) => name.includes("-wal.damaged-"))
      expect(kept.map((name) => readFileSync(dir.file(name)).equals(wal))).toEqual([true])
      using store = openStore(dir.file())
      expect(store.pendingIds()).toEqual(ids.slice(0, store.pending()))
      expect(store.pending()).toBeGreaterThan(5)
    })

  test("and met by several processes at once: one is told, all record", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { before: many(5), after: many(40) })
    flip(`${dir.file()}-wal`, frameAt(0))
    const names = ["a", "b", "c", "d", "e", "f"]
    const children = names.map((name) => another(dir.file(), name))
    for (const child of children) await child.line()
    for (const child of children) child.go()
    const told = await Promise.all(children.map((child) => child.line()))
    expect(await Promise.all(children.map((child) => child.end()))).toEqual(names.map(() => 0))
    expect(told.filter((line) => line !== "{}")).toEqual([expect.stringContaining("-wal.damaged-")])
    using store = openStore(dir.file())
    expect(store.pending()).toBe(5 + 12)
  })

  test("that another process has open is its business: it goes on, and so does who comes", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(50))
    await using other = another(dir.file(), "other")
    await other.line()
    other.go()
    expect(await other.line()).toBe("{}")
    {
      await using box = openQuietOutbox(dir.file())
      puts(box, 20)
      flip(`${dir.file()}-wal`, frameAt(0))
    }
    await using box = openQuietOutbox(dir.file())
    expect([box.outbox.quarantined, box.notes.status().pending]).toEqual([undefined, 71])
    other.go()
    expect(await other.end()).toBe(0)
    expect(box.notes.status().pending).toBe(72)
  })
})

describe("a -wal whose header is damaged", () => {
  for (const [what, checkpoint] of [
    ["", true],
    [", with no checkpoint yet", false],
  ] as const)
    test(`is refused with its bytes${what}, and put aside with the outbox where that is asked for`, async () => {
      await using dir = tempDir()
      killedOutbox(dir.file(), { before: many(5), after: many(40), checkpoint })
      flip(`${dir.file()}-wal`, 1)
      const before = hashes(dir)
      const { size } = statSync(`${dir.file()}-wal`)
      for (let n = 0; n < 2; n++) {
        const { code, message } = errorOf(() => openOutbox(dir.file()))
        expect([code as string, message]).toEqual(["database_corrupt", expect.stringContaining(`${size} bytes`)])
        expect(message).toContain(`${dir.file()}-wal`)
      }
      expect(hashes(dir)).toEqual(before)
      await using box = openQuietOutbox(dir.file(), { damaged: "quarantine" })
      const { file } = box.outbox.quarantined!
      expect([hashOf(file), hashOf(`${file}-wal`)]).toEqual([before["outbox.db"]!, before["outbox.db-wal"]!])
      expect(box.notes.status().recorded).toBe(0)
    })

  test("of zeros is refused too: it was synced before the first frame", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { after: many(40) })
    overwrite(`${dir.file()}-wal`, 0, new Uint8Array(512))
    expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
  })
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
