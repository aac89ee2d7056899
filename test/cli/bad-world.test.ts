/** What a command meets around it: disks that are full, links that go round, users who may not. */
import { Database } from "bun:sqlite"
import { chmodSync, existsSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openCliBox } from "./box.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson, run } from "./run.ts"

const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts")
const hasFull = existsSync("/dev/full")

describe("output that cannot be written", () => {
  test.skipIf(!hasFull).each(["status", "ops", "export"])("of %s is a failure, and says so", async (name) => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }), false)
    const line = `exec "${process.execPath}" "${main}" ${name} --db "${box.file}" > /dev/full`
    const child = Bun.spawn(["sh", "-c", line], { stdout: "ignore", stderr: "pipe" })
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stderr).text()).toContain("sturdy: the output could not be written (ENOSPC)")
  })
})

describe("a path", () => {
  test("that is a loop of links is refused, by who reads and by who acts", async () => {
    await using box = await openCliBox()
    symlinkSync(box.dir.file("loop.db"), box.dir.file("loop.db"))
    for (const name of ["status", "flush"]) {
      const ran = await run([name, "--db", box.dir.file("loop.db")])
      expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("a loop of links")])
      expectOneLine(ran)
    }
  })

  test("to a file that has nothing of an outbox is not sent to the doctor, who says so too", async () => {
    await using box = await openCliBox()
    writeFileSync(box.dir.file("text.db"), "no database at all\n".repeat(300))
    for (const name of ["status", "doctor"]) {
      const ran = await run([name, "--db", box.dir.file("text.db")])
      expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("Nothing in it is of an outbox")])
      expectOneLine(ran)
    }
  })

  test("below a file, or too long, is refused in one line", async () => {
    await using box = await openCliBox()
    await box.host(() => {}, false)
    for (const file of [join(box.file, "x.db"), box.dir.file("x".repeat(300))])
      for (const name of ["status", "ops", "flush", "export"]) {
        const ran = await run([name, "--db", file])
        expect(ran.code).toBe(1)
        expectOneLine(ran)
      }
  })

  test.skipIf(process.getuid?.() === 0)("that this user may not look into is refused in one line", async () => {
    await using box = await openCliBox()
    await box.host(() => {}, false)
    chmodSync(box.dir.path, 0)
    const ran = await box.run("status")
    chmodSync(box.dir.path, 0o700)
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("cannot be looked at (EACCES)")])
    expectOneLine(ran)
  })
})

test("with --json an error is an object on standard error: code, message, hint", async () => {
  await using box = await openCliBox()
  const { code, out, err } = await run(["status", "--json", "--db", box.dir.file("none.db")])
  expect([code, out]).toEqual([1, ""])
  expect(lastJson(err)).toEqual({
    version: 1,
    error: { code: "database_missing", message: expect.any(String), hint: expect.any(String) },
  })
})

test.each([
  ["wrong usage", ["ops", "--limit", "x", "--json"], 2, "usage"],
  ["no command", ["stats", "--json"], 2, "usage"],
  ["what a command found", ["doctor", "--quarantine", "--json"], 1, "failed"],
])("with --json %s is an object on standard error too", async (_, args, exit, name) => {
  await using box = await openCliBox()
  await box.host(() => {}, false)
  const { code, err } = await box.run(...args)
  expect([code, lastJson(err)]).toMatchObject([exit, { version: 1, error: { code: name } }])
})

test("a backup is an outbox of its own: in WAL mode, its lease held by nobody", async () => {
  await using box = await openCliBox()
  await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }))
  {
    const db = new Database(box.file)
    db.run("update sturdy_lease set time_expires = ?", [Date.now() + 600_000])
    db.close()
  }
  expect((await box.run("backup", box.dir.file("copy.db"))).code).toBe(0)
  expect(existsSync(box.dir.file("copy.db-wal"))).toBeFalse()
  const { out } = await run(["status", "--json", "--db", box.dir.file("copy.db")])
  expect(lastJson(out)).toMatchObject({ lease: { state: "free" } })
  const { out: findings } = await run(["doctor", "--offline", "--json", "--db", box.dir.file("copy.db")])
  expect(findings).not.toContain("not in WAL mode")
})
