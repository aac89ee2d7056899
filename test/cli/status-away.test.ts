/** What status says of streams that wait, and to whoever watches over them. */
import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { openCliBox } from "./box.ts"
import { type Situation, situations } from "./situation/situations.ts"
import { lastJson, run } from "./run.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"

describe("in an outage", () => {
  let dir: TempDir
  let made: Situation
  beforeAll(async () => {
    dir = tempDir()
    made = await situations.offline(dir.path)
  })
  afterAll(async () => {
    await made[Symbol.asyncDispose]()
    await dir[Symbol.asyncDispose]()
  })

  test("streams that wait are told once per service and reason, with where to look closer", async () => {
    const { code, out } = await run(["status"], made.env)
    expect(code).toBe(0)
    expect(out.match(/refuses connections/g)).toHaveLength(1)
    expect(out).toMatch(
      /^7 streams wait, the oldest op for \d+ min: http:\S+ refuses connections; tried again in \d+ s/m,
    )
    expect(out).toMatch(
      /^1 stream waits, the oldest op for \d+ min: http:\S+ answers HTTP 503; tried again in \d+ min/m,
    )
    expect(out).toContain("    sturdy doctor\n")
    expect(out).not.toContain("No process sends")
  })

  test("--max-age makes an outage a matter for a person once an op has waited for longer", async () => {
    const codeOf = async (...args: string[]) => (await run(["status", ...args], made.env)).code
    expect([await codeOf(), await codeOf("--max-age", "3h"), await codeOf("--max-age", "10m")]).toEqual([0, 0, 3])
    const { code, err } = await run(["status", "--max-age", "soon"], made.env)
    expect([code, err]).toEqual([2, expect.stringContaining("--max-age must be a length of time")])
  })
})

test("what nobody sends is told, with the command that does", async () => {
  await using box = await openCliBox()
  await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }), false)
  const { out } = await box.run("status")
  expect(out).toContain("No process sends what 1 stream has pending")
  expect(out).toContain(`    sturdy flush --db ${box.file}\n`)
  expect((await box.run("flush")).code).toBe(0)
  expect((await box.run("status")).out).not.toContain("No process sends")
})

test("--json says of each stream whether it needs a person, and the command for it", async () => {
  await using dir = tempDir()
  await using made = await situations.revoked(dir.path)
  const found = lastJson((await run(["status", "--json"], made.env)).out)
  const streams = found.streams as { stream: string; needs_person: boolean; command: string | null }[]
  expect(streams.filter(({ needs_person }) => needs_person)).toMatchObject([
    { stream: made.names.stream, command: `sturdy unblock ${made.names.stream} --secret-file FILE` },
  ])
  expect(streams.filter(({ command }) => command === null)).toHaveLength(2)
})

test("a row whose places contradict each other is damage, not numbers that nobody can make sense of", async () => {
  await using box = await openCliBox()
  await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }), false)
  const db = new Database(box.file)
  db.run("update sturdy_stream set cursor = -1")
  db.close()
  for (const name of ["status", "streams", "watch"]) {
    const { code, out, err } = await box.run(name, ...(name === "watch" ? ["--count", "1"] : []))
    expect([code, out]).toEqual([3, ""])
    expect(err).toContain("the row of stream notes is damaged")
    expect(err).toContain("sturdy doctor --db")
  }
})

test("an outage that no process waits for does not go on by itself, and is not said to", async () => {
  await using box = await openCliBox()
  await box.service.stop()
  await box.host(async (outbox, notes) => {
    const failed = new Promise((resolve) => outbox.on("failed", resolve))
    outbox.resume()
    notes.record({ method: "create", args: [{ title: "a" }] })
    await failed
  }, false)
  const { out } = await box.run("status")
  expect(out).toContain("refuses connections. Nothing is lost; to look closer:")
  expect(out).not.toContain("by itself")
  expect(out).toMatch(/^No process sends what 1 stream has pending: .* or by hand (now|in \d+ s):$/m)
})
