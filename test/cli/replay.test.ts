/** `sturdy replay` against `sturdy serve`, both as processes. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, test } from "bun:test"
import { fixturePath } from "../opencode/reference.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { startService } from "../torture/service.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run, type Ran } from "./run.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const recording = fixturePath("short-text", "jsonl")

describe("replay", () => {
  const replay = (url: string, dir: TempDir, path = recording) =>
    run(["replay", path, "--server", url, "--db", dir.file(), "--json"])

  test("the last line with --json has exactly these keys", async () => {
    await using dir = tempDir()
    await using service = await startService(dir.file("share.db"))
    const { code, out, err } = await replay(service.url, dir)
    expect({ code, err }).toEqual({ code: 0, err: "" })
    const summary = lastJson(out)
    expect(Object.keys(summary)).toEqual(["events", "ops", "batches", "posts", "pending", "dead", "shares"])
    const shares = summary.shares as Record<string, unknown>[]
    expect(shares.map((share) => Object.keys(share))).toEqual([["session_id", "share_id", "url", "removed"]])
    expect(summary).toMatchObject({ pending: 0, dead: 0, shares: [{ removed: false }] })
    expect((await fetch(`${service.url}/api/share/${shares[0]!.share_id}/data`)).status).toBe(200)
  })

  test("a second replay into the same outbox doubles nothing and sends nothing", async () => {
    await using dir = tempDir()
    await using service = await startService(dir.file("share.db"))
    const first = lastJson((await replay(service.url, dir)).out)
    using share = new ScopedDatabase(service.file, { readonly: true })
    const applied = () => share.query("select count(*) as n, count(distinct op_id) as ids from applied").get()
    const before = applied()
    expect(lastJson((await replay(service.url, dir)).out)).toEqual(first)
    expect(applied()).toEqual(before)
  })

  test("for people: what was done, and where the shares are", async () => {
    await using dir = tempDir()
    await using service = await startService(dir.file("share.db"))
    const { code, out, err } = await run(["replay", recording, "--server", `${service.url}/`, "--db", dir.file()])
    expect(code).toBe(0)
    expect(out).toMatch(/^\d+ events, \d+ ops in \d+ batch(es)? and \d+ POSTs?; 0 pending, 0 dead\nses_\w+ {2}http/)
    expect(err).toContain(`outbox: ${dir.file()}`)
  })

  test("with the service down it says so, loses nothing, and goes on when the service is up", async () => {
    await using dir = tempDir()
    const down = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() })
    const port = down.port!
    await down.stop(true)
    const child = cli(["replay", recording, "--server", `http://127.0.0.1:${port}`, "--db", dir.file(), "--json"])
    const reader = child.stderr.getReader()
    const told = new TextDecoder().decode((await reader.read()).value)
    expect(told).toContain("refused the connection; trying again in")
    expect(told).toContain("nothing is lost")
    const service = cli(["serve", "--port", String(port), "--data", dir.file("share.db"), "--json"])
    const [out, code] = await Promise.all([new Response(child.stdout).text(), child.exited])
    service.kill("SIGKILL")
    await service.exited
    expect({ code, ...lastJson(out) }).toMatchObject({ code: 0, pending: 0, dead: 0 })
  })

  test("a malformed line is told with its number and reason, ends with 1, and nothing is recorded", async () => {
    await using dir = tempDir()
    const lines = readFileSync(recording, "utf8").split("\n")
    lines[4] = '{"t": 1, "event": {"id": 7}}'
    writeFileSync(dir.file("bad.jsonl"), lines.join("\n"))
    const ran = await replay("http://127.0.0.1:9", dir, dir.file("bad.jsonl"))
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("line 5: event.id is not an id")
    const { out } = await run(["status", "--db", dir.file(), "--json"])
    expect(lastJson(out)).toMatchObject({ pending: 0, streams: [] })
  })

  test.each<[string, (dir: TempDir) => void]>([
    ["missing", () => {}],
    ["a directory", (dir) => mkdirSync(dir.file("bad.jsonl"))],
    ["no text", (dir) => writeFileSync(dir.file("bad.jsonl"), Buffer.from([0xff, 0xfe, 0x00, 0x0a]))],
  ])("a recording that is %s ends with 1 in one line", async (_, make) => {
    await using dir = tempDir()
    make(dir)
    const ran = await replay("http://127.0.0.1:9", dir, dir.file("bad.jsonl"))
    expect(ran.code).toBe(1)
    expectOneLine(ran)
  })

  test("an outbox that was used with another server is refused in one line", async () => {
    await using dir = tempDir()
    await using service = await startService(dir.file("share.db"))
    await replay(service.url, dir)
    const ran = await replay("http://127.0.0.1:9", dir)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("--db")
  })

  test("the secrets of the shares are in no output, of no command", async () => {
    await using dir = tempDir()
    await using service = await startService(dir.file("share.db"))
    const printed: Ran[] = []
    for (const json of [[], ["--json"]]) {
      printed.push(await run(["replay", recording, "--server", service.url, "--db", dir.file(), ...json]))
      printed.push(await run(["status", "--db", dir.file(), ...json]), await run(["ops", "--db", dir.file(), ...json]))
    }
    using db = new ScopedDatabase(dir.file(), { readonly: true })
    const secrets = db.query("select secret, writer_id from sturdy_stream").all() as {
      secret: string
      writer_id: string
    }[]
    expect(secrets).toHaveLength(1)
    for (const { out, err } of printed) for (const { secret } of secrets) expect(out + err).not.toContain(secret)
  })
})
