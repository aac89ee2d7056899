/** What `damaged: "quarantine"` renames, what it never touches, and what others on the same file see of it. */
import { describe, expect, test } from "bun:test"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { basename } from "node:path"
import { systemSeams } from "../../src/intent/system.ts"
import type { OutboxOptions } from "../../src/options.ts"
import { openOutbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { openQuietOutbox, openStore } from "./box.ts"
import { startChild } from "./child.ts"
import { closedOutbox, hashes, hashOf, killedOutbox, leafOf, overwrite, page_bytes, ruin } from "./damage.ts"

const many = (count: number) => Array.from({ length: count }, (_, i) => ({ args: [`${i} `.repeat(100)] }))
const open = (dir: TempDir, options: OutboxOptions = {}) =>
  openQuietOutbox(dir.file(), { damaged: "quarantine", ...options })
const another = (file: string, name: string, ...more: string[]) =>
  startChild([process.execPath, `${import.meta.dir}/quarantine-fixture.ts`, file, name, ...more])
const sha256 = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex")
const damagedIn = (dir: TempDir) =>
  readdirSync(dir.path).filter((name) => /^outbox\.db\.damaged-\d{8}T\d{6}Z(-\d+)?$/.test(name))

/** Each leaves a file in which an outbox certainly lived, and which cannot be opened. */
const damages: Record<string, (file: string) => void> = {
  "a file of 0 bytes with a -wal": (file) => {
    killedOutbox(file)
    truncateSync(file, 0)
  },
  "a file of 1 byte with a -wal, which SQLite takes for an empty one": (file) => {
    killedOutbox(file)
    truncateSync(file, 1)
  },
  "a stump of 50 bytes": (file) => {
    closedOutbox(file)
    truncateSync(file, 50)
  },
  "a file cut within its first page": (file) => {
    closedOutbox(file)
    truncateSync(file, 3000)
  },
  "a file cut after its first page, with a -wal": (file) => {
    killedOutbox(file, { before: many(50) })
    truncateSync(file, page_bytes)
  },
  "a schema that is overwritten": (file) => {
    closedOutbox(file)
    overwrite(file, 100, new Uint8Array(page_bytes - 100).fill(0xa5))
  },
  "a -wal with a damaged header": (file) => {
    killedOutbox(file, { before: many(50) })
    overwrite(`${file}-wal`, 5, Uint8Array.of(0xa5))
  },
  "a file overwritten from its first byte, with a -wal": (file) => {
    killedOutbox(file, { before: many(50) })
    overwrite(file, 0, new Uint8Array(page_bytes).fill(0xa5))
  },
}

describe("a damaged outbox is put aside with all its bytes, and a fresh one begins in its place:", () => {
  for (const [name, damage] of Object.entries(damages))
    test(name, async () => {
      await using dir = tempDir()
      damage(dir.file())
      const before = hashes(dir)
      await using box = open(dir)
      box.notes.record({ method: "put", args: ["fresh"] })
      const { file, message } = box.outbox.quarantined!
      expect([box.notes.status().recorded, damagedIn(dir)]).toEqual([1, [basename(file)]])
      expect(message).toContain(file)
      // An empty one is given two bytes: with none, SQLite would delete the -wal when a person looks into it.
      if (statSync(file).size !== 2) expect(hashOf(file)).toBe(before["outbox.db"]!)
      expect(existsSync(`${file}-wal`) ? hashOf(`${file}-wal`) : undefined).toBe(before["outbox.db-wal"])
      expect((statSync(file).mode & 0o777).toString(8)).toBe("600")
    })

  test("also in the next process, which finds the fresh one and the damaged one as they were left", async () => {
    await using dir = tempDir()
    damages["a stump of 50 bytes"]!(dir.file())
    {
      await using box = open(dir)
      box.notes.record({ method: "put", args: ["fresh"] })
    }
    await using box = open(dir)
    expect([box.outbox.quarantined, box.notes.status().pending, damagedIn(dir).length]).toEqual([undefined, 1, 1])
  })

  test("a second one within the same second gets a name of its own", async () => {
    await using dir = tempDir()
    for (const size of [50, 60, 70]) {
      closedOutbox(dir.file())
      truncateSync(dir.file(), size)
      await open(dir)[Symbol.asyncDispose]()
    }
    const sizes = damagedIn(dir).map((name) => [name.slice(-7), statSync(dir.file(name)).size])
    expect(Object.fromEntries(sizes)).toEqual({ "221320Z": 50, "1320Z-2": 60, "1320Z-3": 70 })
  })

  test("the host is told: by the property at once, by the event when it listens", async () => {
    await using dir = tempDir()
    damages["a stump of 50 bytes"]!(dir.file())
    await using box = open(dir)
    const told: unknown[] = []
    box.outbox.on("quarantined", (event) => told.push(event))
    box.clock.turn(0)
    box.clock.turn(10_000)
    expect(told).toEqual([box.outbox.quarantined])
  })

  test("a fresh outbox that cannot be made after that: the error says where the damaged one is", async () => {
    await using dir = tempDir()
    damages["a stump of 50 bytes"]!(dir.file())
    const seams = { ...systemSeams, crashPoint: () => existsSync(dir.file()) || mkdirSync(dir.file()) }
    const error = errorOf(() => openOutbox(dir.file(), { damaged: "quarantine", seams }))
    expect([error.code, error.message]).toEqual([
      "database_not_outbox",
      expect.stringContaining(dir.file(damagedIn(dir)[0])),
    ])
  })

  test("a sound outbox is opened as it is, and nothing is told", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    await using box = open(dir)
    const told: unknown[] = []
    box.outbox.on("quarantined", (event) => told.push(event))
    box.clock.turn(0)
    expect([box.outbox.quarantined, told, box.notes.status().pending]).toEqual([undefined, [], 1])
  })
})

/** Each is refused with its bytes unchanged, with this option as without. */
const kept: Record<string, [code: string, make: (dir: TempDir) => void]> = {
  "a sound database of somebody else's": [
    "database_not_outbox",
    (dir) => {
      using db = new ScopedDatabase(dir.file())
      db.run("create table diary (entry text)")
    },
  ],
  "a damaged database of somebody else's": [
    "database_corrupt",
    (dir) => {
      {
        using db = new ScopedDatabase(dir.file())
        db.run("create table diary (entry text)")
      }
      overwrite(dir.file(), 100, new Uint8Array(page_bytes - 100).fill(0xa5))
    },
  ],
  "a text file": ["database_not_sqlite", (dir) => writeFileSync(dir.file(), "dear diary ".repeat(500))],
  "a text file beside a text that ends in -wal": [
    "database_not_sqlite",
    (dir) => {
      writeFileSync(dir.file(), "dear diary ".repeat(500))
      writeFileSync(`${dir.file()}-wal`, "who against all laws ".repeat(500))
    },
  ],
  zeros: ["database_not_sqlite", (dir) => writeFileSync(dir.file(), new Uint8Array(8192))],
  "an outbox of a newer Sturdy": [
    "database_newer",
    (dir) => {
      closedOutbox(dir.file())
      using db = new ScopedDatabase(dir.file())
      db.run("update sturdy_meta set version = 99, compatible_version = 99")
    },
  ],
  "a directory": ["database_not_outbox", (dir) => mkdirSync(dir.file())],
  "a damaged file with two names": [
    "database_unsafe",
    (dir) => {
      damages["a stump of 50 bytes"]!(dir.file())
      linkSync(dir.file(), dir.file("other.db"))
    },
  ],
}

describe("is never put aside:", () => {
  for (const [name, [code, make]] of Object.entries(kept))
    test(name, async () => {
      await using dir = tempDir()
      make(dir)
      const before = hashes(dir)
      const error = errorOf(() => openOutbox(dir.file(), { damaged: "quarantine" }))
      expect([error.code as string, hashes(dir)]).toEqual([code, before])
    })

  test("a damaged file that another process has open: it goes on with it", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(50))
    await using other = another(dir.file(), "other")
    await other.line()
    other.go()
    expect(await other.line()).toBe("{}")
    overwrite(dir.file(), 100, new Uint8Array(page_bytes - 100).fill(0xa5))
    const error = errorOf(() => openOutbox(dir.file(), { damaged: "quarantine" }))
    expect([error.code, error.message]).toEqual(["database_corrupt", expect.stringContaining("another process")])
    expect(damagedIn(dir)).toEqual([])
    other.go()
    expect(await other.end()).toBe(0)
  })

  test("an emptied file that another process has open: it writes it anew, and nothing is lost", async () => {
    await using dir = tempDir()
    await using other = another(dir.file(), "other")
    await other.line()
    other.go()
    expect(await other.line()).toBe("{}")
    truncateSync(dir.file(), 0)
    const error = errorOf(() => openOutbox(dir.file(), { damaged: "quarantine" }))
    expect([error.code, error.message]).toEqual(["database_corrupt", expect.stringContaining("another process")])
    other.go()
    expect(await other.end()).toBe(0)
    await using box = open(dir)
    expect([box.outbox.quarantined, box.notes.status().pending, damagedIn(dir)]).toEqual([undefined, 2, []])
    expect(existsSync(`${dir.file()}-suspect`)).toBe(false)
  })

  test("a busy file", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    await using locker = startChild([process.execPath, `${import.meta.dir}/lock-fixture.ts`, dir.file()])
    await locker.line()
    expect(errorOf(() => openOutbox(dir.file(), { damaged: "quarantine" })).code).toBe("busy")
    expect(damagedIn(dir)).toEqual([])
    await locker.end()
  })

  test("the host's database", async () => {
    await using dir = tempDir()
    damages["a schema that is overwritten"]!(dir.file())
    const before = hashes(dir)
    using db = new ScopedDatabase(dir.file())
    errorOf(() => openOutbox({ database: db }, { damaged: "quarantine" }))
    expect(hashes(dir)).toEqual(before)
  })

  test("anything, unless it is asked for: the default refuses, and so does what is no choice", async () => {
    await using dir = tempDir()
    damages["a stump of 50 bytes"]!(dir.file())
    const before = hashes(dir)
    expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
    expect(errorOf(() => openOutbox(dir.file(), { damaged: "delete" as "refuse" })).code).toBe("invalid_argument")
    expect(hashes(dir)).toEqual(before)
  })
})

describe("damage in the middle of the file", () => {
  /** Seen by nobody who opens it: an outbox whose ops lie on many pages, one of them overwritten. */
  function ruined(dir: TempDir): void {
    closedOutbox(dir.file(), many(100))
    ruin(dir.file(), leafOf(dir.file(), "sturdy_op"))
  }

  /** Met by whoever sends: says so, leaves the marker. */
  async function meet(dir: TempDir): Promise<void> {
    const outbox = openOutbox(dir.file(), {
      transport: () => Promise.reject(new Error("nothing may be sent")),
    })
    expect((await rejectionOf(outbox.flush())).code).toBe("database_corrupt")
    await outbox.close({ flush_ms: 0 })
  }

  test("is met while sending: flush says so, nothing is sent, and a marker without payload stays for the next open", async () => {
    await using dir = tempDir()
    ruined(dir)
    await meet(dir)
    const marker = `${dir.file()}-suspect`
    expect(Object.keys(JSON.parse(readFileSync(marker, "utf8")))).toEqual(["since", "doing"])
    expect((statSync(marker).mode & 0o777).toString(8)).toBe("600")
  })

  test("is refused from then on, with the bytes as they are", async () => {
    await using dir = tempDir()
    ruined(dir)
    await meet(dir)
    const before = hashes(dir)
    for (let n = 0; n < 2; n++) expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
    expect(hashes(dir)).toEqual(before)
  })

  test("is put aside by the next open that may", async () => {
    await using dir = tempDir()
    ruined(dir)
    await meet(dir)
    const before = hashes(dir)
    await using box = open(dir)
    expect(hashOf(box.outbox.quarantined!.file)).toBe(before["outbox.db"]!)
    expect([existsSync(`${dir.file()}-suspect`), box.notes.status().recorded]).toEqual([false, 0])
  })

  test("that was not: the marker is taken away, and nothing else happens", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    for (const text of ['{"since":"2026-01-01T00:00:00.000Z","doing":"freeze"}', "no JSON", ""]) {
      writeFileSync(`${dir.file()}-suspect`, text)
      await using box = open(dir)
      expect([box.notes.status().pending, existsSync(`${dir.file()}-suspect`)]).toEqual([1, false])
    }
  })

  test("is met while recording: record throws, and leaves the marker too", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(100))
    ruin(dir.file(), leafOf(dir.file(), "sturdy_stream"))
    await using box = { outbox: openOutbox(dir.file()), [Symbol.asyncDispose]: () => box.outbox.close({ flush_ms: 0 }) }
    expect(errorOf(() => box.outbox.stream("notes")).code).toBe("database_corrupt")
    expect(existsSync(`${dir.file()}-suspect`)).toBe(true)
  })
})

describe("several processes", () => {
  for (const name of [
    "a stump of 50 bytes",
    "a file of 0 bytes with a -wal",
    "a file cut after its first page, with a -wal",
    "a -wal with a damaged header",
  ])
    test(`that open ${name} at once: one puts it aside, all record into the fresh one`, async () => {
      await using dir = tempDir()
      damages[name]!(dir.file())
      const names = ["a", "b", "c", "d", "e", "f"]
      const children = names.map((name) => another(dir.file(), name))
      for (const child of children) await child.line()
      for (const child of children) child.go()
      const told = await Promise.all(children.map((child) => child.line()))
      expect(await Promise.all(children.map((child) => child.end()))).toEqual(names.map(() => 0))
      expect(told.filter((line) => line !== "{}")).toEqual([expect.stringContaining(".damaged-")])
      expect(damagedIn(dir)).toHaveLength(1)
      using store = openStore(dir.file())
      expect(store.pending()).toBe(12)
    })

  for (const name of [
    "a file cut after its first page, with a -wal",
    "a file of 0 bytes with a -wal",
    "a -wal with a damaged header",
  ])
    for (const [point, left] of Object.entries({
      "quarantine:before-main-file": "refused",
      "quarantine:after-main-file": "fresh",
    }))
      test(`one killed at ${point}, ${name}: nothing is lost, and the next one ends it`, async () => {
        await using dir = tempDir()
        damages[name]!(dir.file())
        const before = hashes(dir)
        // An empty one is given two bytes first.
        if (statSync(dir.file()).size === 0) before["outbox.db"] = sha256("\0\0")
        const killed = another(dir.file(), "killed", point)
        await killed.line()
        killed.go()
        expect(await killed.end()).toBe("SIGKILL")
        const refused = left === "refused"
        if (refused) expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_corrupt")
        await using box = open(dir)
        expect([box.outbox.quarantined !== undefined, box.notes.status().recorded]).toEqual([refused, 0])
        const after = Object.entries(hashes(dir)).filter(([name]) => name.includes(".damaged-"))
        expect(after.map(([, hash]) => hash).toSorted()).toEqual(Object.values(before).toSorted())
        expect(existsSync(`${dir.file()}-suspect`)).toBe(false)
      })
})

describe.if(process.platform === "linux" && process.getuid?.() === 0)("for a user who may not write", () => {
  for (const [what, path, code] of [
    ["the file", "outbox.db", "database_corrupt"],
    ["the folder", ".", "database_unopenable"],
  ] as const)
    test(`${what}: a damaged outbox stays where it is`, async () => {
      await using dir = tempDir()
      damages["a stump of 50 bytes"]!(dir.file())
      chmodSync(dir.path, 0o777)
      chmodSync(dir.file(), 0o666)
      chmodSync(dir.file(path), path === "." ? 0o755 : 0o444)
      const before = hashes(dir)
      await using child = startChild([
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        process.execPath,
        `${import.meta.dir}/quarantine-fixture.ts`,
        dir.file(),
        "nobody",
      ])
      await child.line()
      child.go()
      expect(JSON.parse((await child.line()) ?? "{}")).toMatchObject({ code })
      await child.end()
      expect(hashes(dir)).toEqual(before)
    })
})
