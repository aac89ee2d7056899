/** The CLI as people and scripts meet it: real processes, what they print, and how they end. */
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { fixturePath } from "../opencode/reference.ts"
import { openQuietOutbox } from "../store/box.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { until } from "../until.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run } from "./run.ts"
import { ScopedDatabase } from "../scoped-database.ts"

const recording = fixturePath("short-text", "jsonl")
const ref = {
  service: "http://127.0.0.1:9/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "canary_secret_0123456789abcdef",
}

/** Names, bytes and times of everything in the directory. */
function picture(dir: TempDir): Record<string, string> {
  const entries = readdirSync(dir.path).filter((name) => lstatSync(join(dir.path, name)).isFile())
  const files = Object.fromEntries(
    entries.toSorted().map((name) => {
      const path = join(dir.path, name)
      // The shared index holds lock marks of whoever reads: not the outbox.
      const bytes = name.endsWith("-shm") ? "" : Bun.hash(readFileSync(path)).toString(16)
      return [name, `${bytes} ${name.endsWith("-shm") ? "" : statSync(path).mtimeMs}`]
    }),
  )
  // A file that came and went shows in the time of the folder.
  return { ...files, ".": String(statSync(dir.path).mtimeMs) }
}

/** An outbox with two pending ops and one discarded with its share, in a file that nobody has open. */
async function filledOutbox(dir: TempDir): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  const notes = outbox.stream("notes", ref)
  notes.record({ method: "put", args: [{ secret: ref.secret }], key: "note/1" })
  notes.record({ method: "put", args: [2] })
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

describe("usage", () => {
  test.each([[["--help"]], [["-h"]], [["help"]]])("sturdy %p lists the commands and ends with 0", async (args) => {
    const { code, out, err } = await run(args)
    expect({ code, err }).toEqual({ code: 0, err: "" })
    for (const name of ["serve", "replay", "status", "ops"]) expect(out).toContain(`  ${name} `)
  })

  test("sturdy alone lists the commands and ends with 2", async () => {
    const { code, out } = await run([])
    expect(code).toBe(2)
    expect(out).toContain("usage: sturdy COMMAND")
  })

  test.each(["serve", "replay", "status", "ops"])("%s --help prints its usage and ends with 0", async (name) => {
    const { code, out, err } = await run([name, "--help"])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toStartWith(`usage: sturdy ${name}`)
    expect(out).toContain("--json")
  })

  test("--version prints the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dir, "../../package.json"), "utf8"))
    expect(await run(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" })
  })

  const wrong: [string, string[], string][] = [
    ["an unknown command", ["frobnicate"], "no command frobnicate"],
    ["a command named like an object's own method", ["constructor"], "no command constructor"],
    ["an unknown option", ["status", "--frobnicate"], "--frobnicate"],
    ["an option without its value", ["status", "--db"], "--db"],
    ["an argument too many", ["status", "extra", "--db", "x"], "unexpected argument extra"],
    ["a missing argument", ["replay", "--server", "http://127.0.0.1:9"], "an argument is missing"],
    ["no server", ["replay", recording], "--server URL is missing"],
    ["a server that is no URL", ["replay", recording, "--server", "nowhere"], "must be an http(s) URL"],
    ["a server of another protocol", ["replay", recording, "--server", "ftp://x"], "must be an http(s) URL"],
    [
      "a server with a query",
      ["replay", recording, "--server", "http://127.0.0.1:9/?a=1"],
      "without a user, a password",
    ],
    [
      "a server with a password",
      ["replay", recording, "--server", "http://me:canary@127.0.0.1:9"],
      "without a user, a password",
    ],
    ["a port that is none", ["serve", "--port", "eighty"], "--port must be a number"],
    ["a port out of range", ["serve", "--port", "65536"], "from 0 to 65535"],
    ["a state that is none", ["ops", "--db", "x", "--state", "lost"], "--state must be one of"],
    ["a limit of none", ["ops", "--db", "x", "--limit", "0"], "--limit must be a number"],
  ]
  for (const [what, args, message] of wrong)
    test(`${what} ends with 2, says what is wrong and shows the usage`, async () => {
      const { code, out, err } = await run(args)
      expect({ code, out }).toEqual({ code: 2, out: "" })
      expect(err).toContain(message)
      expect(err).toContain("usage: sturdy ")
      expect(err).not.toContain("    at ")
      expect(err).not.toContain("canary")
    })
})

describe("an outbox that is none", () => {
  const places: [string, (dir: TempDir) => void][] = [
    ["missing", () => {}],
    ["a directory", (dir) => mkdirSync(dir.file())],
    [
      "a text file",
      (dir) => writeFileSync(dir.file(), "not a database at all, but longer than a header would be\n".repeat(9)),
    ],
    ["a database of another app", (dir) => otherDatabase(dir.file())],
    ["an empty file", (dir) => writeFileSync(dir.file(), "")],
  ]
  const commands: [string, (file: string) => string[]][] = [
    ["status", (file) => ["status", "--db", file]],
    ["ops", (file) => ["ops", "--db", file]],
    ["replay", (file) => ["replay", recording, "--server", "http://127.0.0.1:9", "--db", file, "--json"]],
  ]
  for (const [name, args] of commands)
    for (const [what, make] of places) {
      // A missing or empty file is a new outbox for who writes.
      if (name === "replay" && (what === "missing" || what === "an empty file")) continue
      test(`${name}: ${what} is refused in one line that says what to do, and stays as it is`, async () => {
        await using dir = tempDir()
        make(dir)
        const before = picture(dir)
        const ran = await run(args(dir.file()))
        expect(ran.code).toBe(1)
        expectOneLine(ran)
        expect(ran.err).toContain(dir.file())
        expect(picture(dir)).toEqual(before)
      })
    }

  test("ops of an outbox with damaged pages is one line, exit 3, and the file stays as it is", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const bytes = readFileSync(file)
    bytes.fill(0xff, 4096)
    writeFileSync(file, bytes)
    const before = picture(dir)
    const ran = await run(["ops", "--db", file])
    expect(ran.code).toBe(3)
    expectOneLine(ran)
    expect(ran.err).not.toContain("select")
    expect(picture(dir)).toEqual(before)
  })

  test.skipIf(process.getuid?.() === 0)("a file without permission is refused in one line", async () => {
    await using dir = tempDir()
    await filledOutbox(dir)
    chmodSync(dir.file(), 0)
    const ran = await run(["status", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
  })

  test("replay into a folder that cannot be made is refused in one line", async () => {
    const ran = await run(["replay", recording, "--server", "http://127.0.0.1:9", "--db", "/dev/null/o.db", "--json"])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
  })
})

function otherDatabase(file: string): void {
  using db = new ScopedDatabase(file)
  db.run("create table invoice (id integer primary key, secret text)")
  db.run("insert into invoice values (1, 'x')")
}

describe("status and ops", () => {
  test("status --json is one line: version, pending, dead, streams", async () => {
    await using dir = tempDir()
    const { code, out } = await run(["status", "--db", await filledOutbox(dir), "--json"])
    expect(code).toBe(0)
    expect(out.trimEnd().split("\n")).toHaveLength(1)
    const found = lastJson(out)
    expect(Object.keys(found).slice(0, 4)).toEqual(["version", "pending", "dead", "streams"])
    expect(found).toMatchObject({ version: 1, pending: 2, dead: 0, streams: [{ stream: "notes", pending: 2 }] })
  })

  test("status of an outbox that was just made is empty", async () => {
    await using dir = tempDir()
    await openOutbox(dir.file()).close()
    const { code, out, err } = await run(["status", "--db", dir.file()])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).toEndWith("\n0 pending, 0 dead, 0 streams\n")
  })

  test("ops --json is one op per line, without its payload", async () => {
    await using dir = tempDir()
    const { code, out } = await run(["ops", "--db", await filledOutbox(dir), "--json"])
    expect(code).toBe(0)
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(lines.map(({ version, seq, state, key }) => ({ version, seq, state, key }))).toEqual([
      { version: 1, seq: 1, state: "pending", key: "note/1" },
      { version: 1, seq: 2, state: "pending", key: null },
    ])
    expect(Object.keys(lines[0])).toEqual([
      "version",
      "op_id",
      "stream",
      "state",
      "method",
      "key",
      "bytes",
      "time_created",
      "seq",
      "depends_on",
      "continues",
    ])
  })

  test("ops gives pages: --limit, then --after what the page said", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const first = await run(["ops", "--db", file, "--json", "--limit", "1"])
    const after = /--after (\d+)/.exec(first.err)![1]!
    const second = await run(["ops", "--db", file, "--json", "--limit", "1", "--after", after])
    expect([lastJson(first.out).seq, lastJson(second.out).seq]).toEqual([1, 2])
  })

  test("status shows control characters of a stream's name escaped, and --json the name as it is", async () => {
    await using dir = tempDir()
    const name = "red\u001b[31m\nbell\u0007\u009bend"
    const outbox = openOutbox(dir.file())
    outbox.pause()
    outbox.stream(name, ref).record({ method: "put", args: [1] })
    await outbox.close({ flush_ms: 0 })
    const { code, out } = await run(["status", "--db", dir.file()])
    expect(code).toBe(0)
    const lines = out.trimEnd().split("\n")
    for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u)
    for (const part of ["red", "[31m", "bell", "end"]) expect(out).toContain(part)
    expect(lastJson((await run(["status", "--json", "--db", dir.file()])).out)).toMatchObject({
      streams: [{ stream: name }],
    })
  })

  test("a stream that stands ends status with 3, and says why and what lifts it", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    using db = new ScopedDatabase(file)
    db.run("update sturdy_stream set block = 'revoked', block_message = 'gone'")
    db.close()
    const { code, out } = await run(["status", "--db", file])
    expect(code).toBe(3)
    expect(out).toContain("blocked: revoked (gone)")
    expect(out).toContain(`sturdy unblock notes --secret-file FILE --db ${file}`)
  })

  test("a stream whose block was lifted, and that was asked to wait, says so and when it goes on", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    using db = new ScopedDatabase(file)
    const at = Date.now() + 600_000
    db.query("update sturdy_stream set next_attempt_at = ?1, retry_after_at = ?1").run(at)
    db.close()
    const { code, out } = await run(["status", "--db", file])
    expect(code).toBe(0)
    expect(out).toMatch(/^notes +waiting/m)
    expect(out).toMatch(/when flushed +asked to wait$/m)
    expect(lastJson((await run(["status", "--json", "--db", file])).out)).toMatchObject({
      streams: [{ state: "waiting", attempts: 0, next_attempt_at: at }],
    })
  })

  test.each(["status", "ops"])(
    "%s leaves a -wal of which nothing can be read as it is, and says that it is damaged",
    async (name) => {
      await using dir = tempDir()
      const copy = dir.file("copy.db")
      {
        // As a process leaves it that is killed before its first checkpoint.
        await using outbox = openOutbox(dir.file())
        outbox.pause()
        outbox.stream("notes", ref).record({ method: "put", args: [1] })
        for (const end of ["", "-wal"]) copyFileSync(dir.file() + end, copy + end)
        await outbox.close({ flush_ms: 0 })
      }
      const wal = readFileSync(`${copy}-wal`)
      wal[8]! ^= 1
      writeFileSync(`${copy}-wal`, wal)
      const { code, err } = await run([name, "--db", copy])
      expect([code, err]).toEqual([3, expect.stringContaining("none of them readable")])
      expect(readFileSync(`${copy}-wal`).equals(wal)).toBeTrue()
    },
  )

  test.each(["status", "ops"])("%s changes no byte and leaves no file behind", async (name) => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const before = picture(dir)
    expect((await run([name, "--db", file])).code).toBe(0)
    expect(picture(dir)).toEqual(before)
  })

  test.each(["status", "ops"])(
    "%s sees what an owner has open and not yet written back, and disturbs nothing",
    async (name) => {
      await using dir = tempDir()
      // Its time stands still: it does not write its -wal back meanwhile.
      await using owner = openQuietOutbox(dir.file())
      const { notes } = owner
      notes.record({ method: "put", args: [1] })
      const before = picture(dir)
      const { code, out } = await run([name, "--db", dir.file(), "--json"])
      expect(code).toBe(0)
      expect(lastJson(out)).toMatchObject(name === "status" ? { pending: 1 } : { state: "pending" })
      expect(picture(dir)).toEqual(before)
      notes.record({ method: "put", args: [2] })
      expect(notes.status().pending).toBe(2)
    },
  )

  test.each(["status", "ops"])("%s never waits for an owner in the middle of a write", async (name) => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    using db = new ScopedDatabase(file)
    db.run("begin immediate")
    db.run("update sturdy_stream set attempts = 9")
    expect((await run([name, "--db", file, "--json"])).code).toBe(0)
    db.run("rollback")
  })

  test("piped into something that stops reading, ops ends without a trace", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const notes = outbox.stream("notes", ref)
    for (let n = 0; n < 5_000; n++) notes.record({ method: "put", args: [n] })
    await outbox.close({ flush_ms: 0 })
    const main = join(import.meta.dir, "../../src/cli/main.ts")
    const line = `"${process.execPath}" "${main}" ops --db "${dir.file()}" --limit 5000 | head -1`
    const child = Bun.spawn(["sh", "-c", line], { stdout: "pipe", stderr: "pipe" })
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect(out.trimEnd().split("\n")).toHaveLength(1)
    expect(err).not.toContain("    at ")
    expect(err).not.toContain("EPIPE")
  })

  test("secrets and payloads are in no output", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    for (const args of [["status"], ["status", "--json"], ["ops"], ["ops", "--json"]]) {
      const { out, err } = await run([...args, "--db", file])
      expect(out + err).not.toContain("canary")
    }
  })
})

describe("serve", () => {
  test("the first line with --json is the url, an origin without a slash; SIGTERM ends it with 0", async () => {
    await using dir = tempDir()
    const child = cli(["serve", "--json", "--data", dir.file("share.db")])
    const { value } = await child.stdout.getReader().read()
    const first = JSON.parse(new TextDecoder().decode(value).split("\n")[0]!)
    expect(Object.keys(first)).toEqual(["url"])
    expect(first.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect((await fetch(`${first.url}/health`)).status).toBe(200)
    child.kill("SIGTERM")
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stderr).text()).toBe("")
  })

  test("SIGINT right after the first line ends it with 0", async () => {
    await using dir = tempDir()
    const child = cli(["serve", "--data", dir.file("share.db")])
    const { value } = await child.stdout.getReader().read()
    expect(new TextDecoder().decode(value)).toStartWith("listening at http://127.0.0.1:")
    child.kill("SIGINT")
    expect(await child.exited).toBe(0)
  })

  test("the same signal again while it stops, as npm adds it to a terminal's, still ends it with 0", async () => {
    await using dir = tempDir()
    const child = cli(["serve", "--json", "--data", dir.file("share.db")])
    const { value } = await child.stdout.getReader().read()
    const { url } = JSON.parse(new TextDecoder().decode(value)) as { url: string }
    const { hostname, port } = new URL(url)
    // It waits for a request under way.
    const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } })
    socket.write("POST /api/share HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    await fetch(`${url}/health`)
    child.kill("SIGINT")
    await until(() =>
      fetch(`${url}/health`, { keepalive: false }).then(
        () => false,
        () => true,
      ),
    )
    child.kill("SIGINT")
    socket.end()
    expect([await child.exited, child.signalCode]).toEqual([0, null])
  })

  test("a port that is taken is told in one line, with what to do", async () => {
    await using dir = tempDir()
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() })
    const ran = await run(["serve", "--port", String(taken.port), "--data", dir.file("share.db")])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain(`port ${taken.port}`)
  })

  test.each<[string, (dir: TempDir) => void]>([
    ["a directory", (dir) => mkdirSync(dir.file("share.db"))],
    [
      "a text file",
      (dir) => writeFileSync(dir.file("share.db"), "not a database at all, but long enough\n".repeat(99)),
    ],
    ["a folder that cannot be", (dir) => symlinkSync("/dev/null/share.db", dir.file("share.db"))],
  ])("data in %s is refused in one line, and stays as it is", async (_, make) => {
    await using dir = tempDir()
    make(dir)
    const before = picture(dir)
    const ran = await run(["serve", "--data", dir.file("share.db")])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(picture(dir)).toEqual(before)
  })
})
