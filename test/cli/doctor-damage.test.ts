/** `sturdy doctor` on a damaged -wal or file, and `--quarantine`, which alone changes something. */
import { describe, expect, test } from "bun:test"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { ScopedDatabase } from "../scoped-database.ts"
import { openQuietOutbox } from "../store/box.ts"
import { flip, killedOutbox, leafOf, ruin } from "../store/damage.ts"
import { tempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import { diagnose, type Found, outboxWith, picture, tamper } from "./doctor-box.ts"
import { expectOneLine } from "./one-line.ts"
import { run } from "./run.ts"

describe("the -wal", () => {
  test("of a process that was killed is whole", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    const { all, of } = await diagnose(dir.file())
    expect(of("wal")).toEqual([])
    expect(all.find(({ check }) => check === "wal")!.message).toMatch(/KiB, whole/)
  })

  test("with a byte that flipped before whole frames is told, and that ops are missing", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file(), { after: Array.from({ length: 30 }, () => ({})) })
    flip(`${dir.file()}-wal`, 32 + 24 + 100)
    const before = picture(dir)
    const { code, of } = await diagnose(dir.file())
    expect(code).toBe(3)
    expect(of("wal")[0]).toMatchObject({ level: "wrong", fault: { of: "frame", read: 0 } })
    expect(picture(dir)).toEqual(before)
  })

  test("with a header that is damaged is told", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    flip(`${dir.file()}-wal`, 8)
    const { code, of } = await diagnose(dir.file())
    expect(code).toBe(3)
    expect(of("wal")[0]).toMatchObject({ level: "wrong", fault: { of: "header" } })
  })

  test("without its outbox is told, though there is no outbox to look at", async () => {
    await using dir = tempDir()
    killedOutbox(dir.file())
    rmSync(dir.file())
    const { code, of } = await diagnose(dir.file())
    expect(code).toBe(3)
    expect(of("leftovers")[0]).toMatchObject({ level: "wrong", message: expect.stringContaining("without its outbox") })
  })
})

test.skipIf(process.platform !== "linux")(
  "a -wal that is too large is told with the process that reads all the while, and keeps it from being copied back",
  async () => {
    await using dir = tempDir()
    // Its time stands still: it does not write its -wal back as soon as the reader has ended.
    await using owner = openQuietOutbox(dir.file())
    const { notes } = owner
    notes.record({ method: "put", args: [1] })
    await using reader = startChild<{ is: "reading" }>(join(import.meta.dir, "long-reader-fixture.ts"), {
      file: dir.file(),
    })
    await reader.heard((said): said is { is: "reading" } => said.is === "reading")
    for (let n = 0; n < 13; n++) notes.record({ method: "put", args: ["x".repeat(2 * 1024 * 1024)] })
    const { code, of } = await diagnose(dir.file())
    expect(code).toBe(0)
    expect(of("wal")).toMatchObject([{ level: "warning", readers: [{ pid: reader.pid }] }])
    reader.finish()
    await reader.exited
    expect((await diagnose(dir.file())).of("wal")).toMatchObject([{ level: "warning", readers: [] }])
  },
)

describe("the invariants", () => {
  test("name the op in which a byte was flipped, whose page SQLite calls whole", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir)
    flip(file, readFileSync(file).indexOf('"secret":"canary') + 2)
    const before = picture(dir)
    const { code, of, out } = await diagnose(file)
    expect(code).toBe(3)
    expect(of("pages")).toEqual([])
    expect(of("invariants")).toMatchObject([
      {
        level: "wrong",
        invariant: "I6",
        code: "op_damaged",
        stream: "notes",
        command: expect.stringContaining("export"),
      },
    ])
    expect(out).not.toContain("canary")
    expect(picture(dir)).toEqual(before)
  })

  test("tell a few of many breaches of one rule, and how many there are", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, 30)
    tamper(file, "update sturdy_op set args = '[]'")
    const { code, of } = await diagnose(file)
    expect(code).toBe(3)
    expect(of("invariants")).toHaveLength(6)
    expect(of("invariants").at(-1)).toMatchObject({ message: "and 25 more of op_damaged", found: 30 })
  })
})

test("what can still be read of a damaged outbox is counted, also of one whose first page is gone", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, 2_000)
  expect((await diagnose(file)).all.map(({ check }) => check)).not.toContain("salvage")
  for (const page of [leafOf(file, "sturdy_op"), 1]) {
    ruin(file, page)
    const before = picture(dir)
    const { code, of, out } = await diagnose(file)
    expect(code).toBe(3)
    const [{ message, streams, command }] = of("salvage") as [Found]
    expect(message).toMatch(/notes: 1,9\d\d of 2,000 ops/)
    expect(streams).toMatchObject([{ stream: "notes", expected: 2_000 }])
    expect(command).toContain("sturdy export")
    expect(out).not.toContain("canary")
    expect(picture(dir)).toEqual(before)
  }
})

describe("--quarantine", () => {
  test("is refused for an outbox that is not damaged, which stays as it is", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir)
    const before = picture(dir)
    const ran = await run(["doctor", "--quarantine", "--db", file])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("is not damaged")
    expect(picture(dir)).toEqual(before)
  })

  test("is refused for what is not there, and makes nothing", async () => {
    await using dir = tempDir()
    const ran = await run(["doctor", "--quarantine", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expect(picture(dir)).toEqual({})
  })

  test("is refused while another process has it open", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, 2_000)
    ruin(file, leafOf(file, "sturdy_op"))
    const bytes = readFileSync(file)
    using other = new ScopedDatabase(file)
    other.run("begin immediate")
    const ran = await run(["doctor", "--quarantine", "--db", file])
    expect(ran.code).toBe(3)
    expect(ran.err).toContain("another process has it open")
    other.run("rollback")
    expect(readFileSync(file).equals(bytes)).toBeTrue()
  })

  test("puts a page in its middle aside, says where and how to get ops out of it; a fresh outbox is there", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, 2_000)
    ruin(file, leafOf(file, "sturdy_op"))
    const bytes = readFileSync(file)
    const ran = await run(["doctor", "--quarantine", "--db", file])
    expect(ran).toMatchObject({ code: 0, err: "" })
    const [, aside] = /sturdy export --db (\S+)/.exec(ran.out)!
    expect(aside).toStartWith(`${file}.damaged-`)
    expect(readFileSync(aside!).equals(bytes)).toBeTrue()
    const { code, odd } = await diagnose(file)
    expect(code).toBe(0)
    expect(odd).toMatchObject([{ check: "leftovers", file: aside }])
  })

  test("keeps a -wal that is damaged behind whole frames, and what was whole is in the outbox", async () => {
    await using dir = tempDir()
    const file = dir.file()
    killedOutbox(file, { after: Array.from({ length: 30 }, () => ({})) })
    flip(`${file}-wal`, 32 + 24 + 100)
    const { code, out } = await run(["doctor", "--quarantine", "--db", file, "--json"])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ version: 1, quarantined: expect.stringContaining("-wal.damaged-") })
    expect((await diagnose(file)).of("wal")).toEqual([])
  })
})
