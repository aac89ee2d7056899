/** One screen of `sturdy status`: what stands comes first, with its reason and the command that lifts it. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { widthOf } from "../../src/cli/output/table.ts"
import { openOutbox } from "../../src/outbox.ts"
import { version as schema_version } from "../../src/store/migrate.ts"
import { openQuietOutbox } from "../store/box.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { until } from "../until.ts"
import { tamper } from "./doctor-box.ts"
import { onTerminal } from "./on-terminal.ts"
import { lastJson, run } from "./run.ts"

const main = join(import.meta.dir, "../../src/cli/main.ts")
const service = "http://127.0.0.1:9/rpc/share"
const secret = "canary_secret_0123456789abcdef"

/** Streams of these names with so many ops each, in a file that nobody has open. */
async function outboxWith(dir: TempDir, streams: Record<string, number>): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  for (const [index, [name, ops]] of Object.entries(streams).entries()) {
    const stream = outbox.stream(name, { service, share_id: `share_of_the_test_${index}`, secret })
    for (let n = 0; n < ops; n++) stream.record({ method: "put", args: [n] })
  }
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

async function screenOf(file: string, ...more: string[]) {
  const { code, out } = await run(["status", "--db", file, ...more])
  const lines = out.trimEnd().split("\n")
  return { code, lines, rows: lines.slice(lines.findIndex((line) => line.startsWith("STREAM")) + 1), out }
}

const firstWords = (rows: string[]) => rows.map((row) => row.split(/ +/)[0])

test("streams that need a person come first, those that wait next, then by what is pending; quiet ones are counted", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, { quiet: 0, gone: 2, few: 1, many: 3, waits: 1, dead: 0 })
  tamper(
    file,
    "update sturdy_stream set time_removal = 1, time_closed = 2 where name = 'gone'",
    "update sturdy_stream set attempts = 3, next_attempt_at = 1, last_error = 'refu\u001bsed' where name = 'waits'",
    "update sturdy_stream set dead_count = 2 where name = 'dead'",
  )
  const { code, rows, lines, out } = await screenOf(file)
  expect([code, firstWords(rows.slice(0, 5))]).toEqual([3, ["dead", "waits", "many", "few", ""]])
  expect(rows[1]).toMatch(/^waits +waiting +1 .* 3 +when flushed +refu\\u001bsed$/)
  expect(rows[2]).toMatch(/^many +pending +3 +(<1|\d+) s .* when flushed +-$/)
  expect(out).toContain("  2 dead letters: rejected by the service for good")
  expect(out).toContain(`sturdy dead list --stream dead --db ${file}\n`)
  expect(lines.at(-1)).toBe("5 pending, 2 dead, 6 streams (2 quiet); 1 stream needs a person")
})

test("more streams than a screen has rows are counted, with the command that has them all", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`s${n}`, 1])))
  const { rows } = await screenOf(file)
  expect(rows.filter((row) => /^s\d/.test(row))).toHaveLength(12)
  expect(rows[12]).toBe(`… and 3 more streams: sturdy streams --db ${file}`)
})

test("streams that stand for one reason are one paragraph; another reason is another", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, { a: 1, b: 1, c: 1, d: 1, e: 1 })
  const hour_ms = 3_600_000
  tamper(
    file,
    `update sturdy_stream set block = 'service_fault', block_message = 'it fails', next_attempt_at = ${Date.now() + hour_ms * 9},
       time_blocked = ${Date.now() - 5 * hour_ms} - stream_id`,
    `update sturdy_stream set next_attempt_at = ${Date.now() + hour_ms * 4 - 1000}, time_blocked = 1 + ${Date.now() - 7 * hour_ms} where name = 'b'`,
    "update sturdy_stream set block = 'other_server', next_attempt_at = null where name = 'e'",
  )
  const { lines, rows, out } = await screenOf(file)
  const paragraph = (first: string) => lines.slice(lines.indexOf(first), lines.indexOf("", lines.indexOf(first)))
  const fault = paragraph("a, b, c and 1 more")
  expect(fault[1]).toMatch(/^ {2}blocked: service_fault \(it fails\), for (6|7) h$/)
  expect(fault.slice(-2)).toEqual([
    `    sturdy unblock --all --reason service_fault --db ${file}`,
    "  looked at again in 4 h",
  ])
  expect(paragraph("e").at(-1)).toBe(`    sturdy unblock e --accept-server --db ${file}`)
  expect(rows[4]).toMatch(/^e .* never by itself +other_server$/)
  expect(out).toContain("5 streams need a person")
})

test("dead letters of several streams are listed by one command, for all", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, { a: 0, b: 0 })
  tamper(file, "update sturdy_stream set dead_count = 1")
  const { lines } = await screenOf(file)
  expect(lines).toContain(`    sturdy dead list --db ${file}`)
})

test("twins, resets, and a resync that is owed are told, and need no person", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, { a: 0, b: 0 })
  tamper(
    file,
    "update sturdy_stream set twin_count = 2, reset_count = 1",
    "update sturdy_stream set resync_owed = 'twin' where name = 'b'",
  )
  const { code, out } = await screenOf(file)
  expect(code).toBe(0)
  expect(out).toContain("\n4 twins met: ")
  expect(out).toContain("\n2 server resets: ")
  expect(out).toContain("\nthe host's resync hook is still to be told of b\n")
})

test("the file: its -wal, another schema than this Sturdy's, and what was put aside beside it", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, { a: 1 })
  tamper(file, `update sturdy_meta set version = ${schema_version + 1}`)
  writeFileSync(`${file}.damaged-20260301T120000Z`, "x")
  const alone = await screenOf(file)
  expect(alone.lines[1]).toContain(`kept; schema ${schema_version + 1} (this Sturdy has ${schema_version}), sturdy `)
  expect(alone.lines).toContain(`1 damaged file kept beside the outbox: sturdy doctor --db ${file}`)
  tamper(file, `update sturdy_meta set version = ${schema_version}`)
  // Its time stands still: it does not write its -wal back meanwhile.
  await using owner = openQuietOutbox(file)
  owner.outbox.stream("a").record({ method: "put", args: [1] })
  expect((await screenOf(file)).lines[1]).toMatch(
    /^file .*KiB \+ [\d.]+ KiB -wal; 0 settled ops kept; schema \d+, sturdy/,
  )
})

test("--db goes before STURDY_DB; either is proposed again, and noted, but not to a program", async () => {
  await using dir = tempDir()
  await using other = tempDir()
  const file = await outboxWith(dir, { a: 1, b: 1 })
  const env = { STURDY_DB: await outboxWith(other, { a: 1 }) }
  tamper(other.file(), "update sturdy_stream set dead_count = 1")
  expect(lastJson((await run(["status", "--db", file, "--json"], env)).out)).toMatchObject({ pending: 2 })
  const json = await run(["status", "--json"], env)
  expect([lastJson(json.out).pending, json.err]).toEqual([1, ""])
  expect((await run(["ops"], env)).err).toStartWith(`outbox: ${other.file()} (STURDY_DB)\n`)
  expect((await run(["ops", "--json"], env)).err).toBe("")
  expect((await run(["status"], env)).out).toContain(`sturdy dead list --stream a --db ${env.STURDY_DB}\n`)
  expect((await run(["unblock", "a"], env)).err).toStartWith(`outbox: ${other.file()} (STURDY_DB)\n`)
})

test("a STURDY_DB that names no outbox is told as such", async () => {
  await using dir = tempDir()
  const { code, err } = await run(["status"], { STURDY_DB: dir.file() })
  expect([code, err]).toEqual([1, expect.stringContaining("Check STURDY_DB")])
})

describe.skipIf(process.platform === "win32")("on a terminal", () => {
  async function shown(file: string, env: Record<string, string>) {
    const cols = 44
    await using on = onTerminal(main, ["status", "--db", file], {
      cols,
      env: { NO_COLOR: "", FORCE_COLOR: "", ...env },
    })
    expect(await on.child.exited).toBe(3)
    await until(() => on.seen.text.includes("a person"))
    return on.seen.text
  }

  test("it is as wide as that, but for commands, which are to be pasted", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, { "a stream of a name that is far too long": 3 })
    tamper(file, "update sturdy_stream set block = 'share_removed', block_message = 'somebody else did that, long ago'")
    const table = (await shown(file, { NO_COLOR: "1" })).split("\r\n").slice(3)
    expect(Math.max(...table.filter((line) => !/^\d+ pending/.test(line)).map(widthOf))).toBeLessThanOrEqual(44)
    expect(table.join("\n")).toContain("…")
  })

  test("it is coloured, unless that can do nothing or NO_COLOR is set", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, { a: 1 })
    tamper(file, "update sturdy_stream set dead_count = 1")
    expect(await shown(file, { TERM: "xterm" })).toContain("\u001b[31m")
    for (const env of [{ TERM: "dumb" }, { TERM: "xterm", NO_COLOR: "1" }])
      expect(await shown(file, env)).not.toContain("\u001b")
  })
})

describe("sturdy streams", () => {
  test("--state chooses, --json is a line per stream with its version", async () => {
    await using dir = tempDir()
    const file = await outboxWith(dir, { a: 1, b: 0 })
    const { code, out } = await run(["streams", "--state", "idle", "--json", "--db", file])
    expect([code, out.trimEnd().split("\n").length]).toEqual([0, 1])
    expect(lastJson(out)).toMatchObject({ version: 1, stream: "b", state: "idle" })
    expect((await run(["streams", "--state", "blocked", "--db", file])).err).toBe("no stream is blocked\n")
  })
})
