import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { openDatabaseForReading } from "../../src/store/database.ts"
import { SturdyError } from "../../src/intent/error.ts"
import { openOutbox } from "../../src/outbox.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { hashes, killedOutbox } from "./damage.ts"
import { openQuietOutbox, openStore } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** An outbox with one op, closed. */
function anOutbox(dir: TempDir): void {
  using store = openStore(dir.file())
  store.record({})
}

/** What a process leaves that was killed: the main file and a -wal beside it. */
function killed(dir: TempDir, prepare: (db: Database) => void): void {
  const db = new Database(dir.file("alive.db"))
  db.run("pragma journal_mode = wal")
  db.run("pragma wal_autocheckpoint = 0")
  prepare(db)
  for (const suffix of ["", "-wal"]) copyFileSync(dir.file(`alive.db${suffix}`), dir.file(`outbox.db${suffix}`))
  db.close()
  rmSync(dir.file("alive.db"))
}

/** Opens as a user who is not root, for whom permissions count. */
async function openAsNobody(dir: TempDir, call = "open"): Promise<{ code: string }> {
  const command = [process.execPath, `${import.meta.dir}/open-fixture.ts`, dir.file(), call]
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" })
  const text = await new Response(child.stdout).text()
  return JSON.parse(text)
}

describe("a new outbox", () => {
  test("is private: file, -wal and -shm 0600, the folder that was created 0700", async () => {
    await using dir = tempDir()
    const file = dir.file("new/deep/outbox.db")
    await using box = openQuietOutbox(file)
    box.notes.record({ method: "m", args: [] })
    expect([file, `${file}-wal`, `${file}-shm`].map(mode)).toEqual(["600", "600", "600"])
    expect([mode(dir.file("new")), mode(dir.file("new/deep"))]).toEqual(["700", "700"])
  })

  test("leaves the mode of a folder that was there", async () => {
    await using dir = tempDir()
    chmodSync(dir.path, 0o755)
    await using box = openQuietOutbox(dir.file())
    box.notes.record({ method: "m", args: [] })
    expect(mode(dir.path)).toBe("755")
  })

  test("is made in a file that is there and empty", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "")
    await using box = openQuietOutbox(dir.file())
    expect(box.notes.status().pending).toBe(0)
  })

  test("carries the mark of Sturdy in its header", async () => {
    await using dir = tempDir()
    anOutbox(dir)
    expect(readFileSync(dir.file()).subarray(68, 72).toString("latin1")).toBe("Strd")
  })

  test("can be opened with a path that has spaces, percent signs, question marks and hashes", async () => {
    await using dir = tempDir()
    const file = dir.file("a b%20c?d#e.db")
    {
      await using box = openQuietOutbox(file)
      box.notes.record({ method: "m", args: [] })
    }
    expect(existsSync(file)).toBe(true)
    const db = openDatabaseForReading(file)
    expect(db.query("select count(*) as n from sturdy_op").get()).toEqual({ n: 1 })
    db.close()
  })
})

const broken: Record<string, [code: string, make: (dir: TempDir) => void]> = {
  "an empty file with a -wal": [
    "database_corrupt",
    (dir) => {
      killed(dir, (db) => db.run("create table sturdy_meta (id)"))
      truncateSync(dir.file(), 0)
    },
  ],
  "a stump of 50 bytes": [
    "database_corrupt",
    (dir) => {
      anOutbox(dir)
      truncateSync(dir.file(), 50)
    },
  ],
  "an outbox cut after its first page": [
    "database_corrupt",
    (dir) => {
      anOutbox(dir)
      truncateSync(dir.file(), 4096)
    },
  ],
  "an outbox cut within its first page": [
    "database_corrupt",
    (dir) => {
      anOutbox(dir)
      truncateSync(dir.file(), 3000)
    },
  ],
  "an outbox whose schema is overwritten": [
    "database_corrupt",
    (dir) => {
      anOutbox(dir)
      const bytes = readFileSync(dir.file())
      bytes.fill(0xa5, 100, 4096)
      writeFileSync(dir.file(), bytes)
    },
  ],
  "a text file": ["database_not_sqlite", (dir) => writeFileSync(dir.file(), "dear diary ".repeat(500))],
  "a short text file": ["database_not_sqlite", (dir) => writeFileSync(dir.file(), "{}\n")],
  zeros: ["database_not_sqlite", (dir) => writeFileSync(dir.file(), new Uint8Array(8192))],
  "another application's database": [
    "database_not_outbox",
    (dir) => {
      using db = new ScopedDatabase(dir.file())
      db.run("create table diary (entry text)")
    },
  ],
  "another application's database that was killed, with its -wal": [
    "database_not_outbox",
    (dir) => killed(dir, (db) => db.run("create table diary (entry text)")),
  ],
  "an outbox of a newer Sturdy": [
    "database_newer",
    (dir) => {
      anOutbox(dir)
      using db = new ScopedDatabase(dir.file())
      db.run("update sturdy_meta set version = 99, compatible_version = 99")
    },
  ],
  "an outbox of a newer Sturdy that was killed, with its -wal": [
    "database_newer",
    (dir) => {
      anOutbox(dir)
      renameSync(dir.file(), dir.file("alive.db"))
      killed(dir, (db) => db.run("update sturdy_meta set version = 99, compatible_version = 99"))
    },
  ],
}

describe("is refused with its bytes unchanged (I14):", () => {
  for (const [name, [code, make]] of Object.entries(broken))
    test(name, async () => {
      await using dir = tempDir()
      make(dir)
      const before = hashes(dir)
      const error = errorOf(() => openOutbox(dir.file()))
      expect([error.code, hashes(dir)]).toEqual([code as typeof error.code, before])
    })

  for (const [name, [code, make]] of Object.entries(broken))
    test(`${name}, when it is only read`, async () => {
      await using dir = tempDir()
      make(dir)
      const before = hashes(dir)
      // Reading takes a newer schema: nothing is written to it.
      if (code !== "database_newer")
        expect(errorOf(() => openDatabaseForReading(dir.file()))).toBeInstanceOf(SturdyError)
      expect(hashes(dir)).toEqual(before)
    })

  test("a directory", async () => {
    await using dir = tempDir()
    mkdirSync(dir.file())
    expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_not_outbox")
  })

  test("a file below another file", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "x")
    expect(errorOf(() => openOutbox(`${dir.file()}/outbox.db`)).code).toBe("database_unopenable")
  })

  test("a symbolic link that leads nowhere", async () => {
    await using dir = tempDir()
    symlinkSync(dir.file("nowhere/x.db"), dir.file())
    expect(errorOf(() => openOutbox(dir.file())).code).toBe("database_unopenable")
  })

  test("a file with a second hard link: two names lead to two WALs", async () => {
    await using dir = tempDir()
    anOutbox(dir)
    linkSync(dir.file(), dir.file("other.db"))
    const before = hashes(dir)
    expect([errorOf(() => openOutbox(dir.file("other.db"))).code, hashes(dir)]).toEqual(["database_unsafe", before])
  })

  test("a missing file, when it is only read: nothing is created", async () => {
    await using dir = tempDir()
    expect(errorOf(() => openDatabaseForReading(dir.file())).code).toBe("database_missing")
    expect(readdirSync(dir.path)).toEqual([])
  })
})

describe("one process, one handle:", () => {
  test("the same path again is refused, until it is closed", async () => {
    await using dir = tempDir()
    {
      await using _first = openQuietOutbox(dir.file())
      expect(errorOf(() => openOutbox(dir.file())).code).toBe("already_open")
    }
    await using again = openQuietOutbox(dir.file())
    expect(again.notes.status().pending).toBe(0)
  })

  test("a symbolic link to the file, or to its folder, is the same file", async () => {
    await using dir = tempDir()
    await using _first = openQuietOutbox(dir.file())
    symlinkSync(dir.file(), dir.file("link.db"))
    symlinkSync(dir.path, dir.file("folder"))
    expect(
      [dir.file("link.db"), dir.file("folder/outbox.db")].map((path) => errorOf(() => openOutbox(path)).code),
    ).toEqual(["already_open", "already_open"])
  })

  test("a refusal does not leave the path marked as open", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "dear diary ".repeat(500))
    errorOf(() => openOutbox(dir.file()))
    rmSync(dir.file())
    await using box = openQuietOutbox(dir.file())
    expect(box.notes.status().pending).toBe(0)
  })
})

// Root becomes nobody in a process of its own; anybody else has no permission as he is.
describe.if(process.platform === "linux")("for a user without permission", () => {
  const modes: Record<string, { file: number; folder: number }> = {
    "a file that may not be read": { file: 0o000, folder: 0o755 },
    "a file that may only be read": { file: 0o444, folder: 0o755 },
    "a folder in which nothing may be created": { file: 0o666, folder: 0o555 },
  }
  for (const [name, { file, folder }] of Object.entries(modes))
    for (const call of ["open", "quarantine"])
      test(`${name} is refused (${call})`, async () => {
        await using dir = tempDir()
        anOutbox(dir)
        const before = hashes(dir)
        chmodSync(dir.file(), file)
        chmodSync(dir.path, folder)
        const seen = await openAsNobody(dir, call)
        chmodSync(dir.path, 0o755)
        chmodSync(dir.file(), 0o600)
        expect([seen, hashes(dir)]).toEqual([{ code: "database_unopenable" }, before])
      })
})

test.if(process.platform === "linux")(
  "an error of the disk while opening is no damage: nothing is put aside",
  async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    const before = hashes(dir)
    // No file may grow, so the -shm cannot be made: SQLITE_IOERR.
    const limited = `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`
    const child = Bun.spawn(
      ["sh", "-c", limited, process.execPath, `${import.meta.dir}/open-fixture.ts`, dir.file(), "limited"],
      { stdout: "pipe", stderr: "inherit" },
    )
    const seen = JSON.parse(await new Response(child.stdout).text())
    expect([seen, hashes(dir)]).toEqual([{ code: "storage_fault" }, before])
  },
)

test.if(process.platform === "linux")(
  "without a free file descriptor opening is refused, and works again with one",
  async () => {
    await using dir = tempDir()
    anOutbox(dir)
    chmodSync(dir.path, 0o777)
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/open-fixture.ts`, dir.file(), "descriptors"], {
      stdout: "pipe",
      stderr: "inherit",
    })
    const { codes, opened } = JSON.parse(await new Response(child.stdout).text()) as {
      codes: string[]
      opened: boolean
    }
    expect([[...new Set(codes)], opened]).toEqual([["database_unopenable"], true])
  },
)

test("opening while another process holds the write lock waits, and then says busy", async () => {
  await using dir = tempDir()
  anOutbox(dir)
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/lock-fixture.ts`, dir.file()], {
    stdout: "pipe",
    stdin: "pipe",
  })
  await child.stdout.getReader().read()
  const error = errorOf(() => openOutbox(dir.file()))
  child.stdin.end()
  await child.exited
  expect([error.code, error.retriable]).toEqual(["busy", true])
  await using box = openQuietOutbox(dir.file())
  expect(box.notes.status().pending).toBe(1)
})
