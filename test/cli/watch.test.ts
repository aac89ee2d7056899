/** `sturdy watch` where standard output is no terminal: beside a host that records and flushes, awaited line by line. */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openOutbox, type Outbox } from "../../src/outbox.ts"
import { Rejection, serveShareService } from "../../src/service/index.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { LineReader } from "./line-reader.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run } from "./run.ts"

const secret = "canary_secret_0123456789abcdef"
const nowhere = { service: "http://127.0.0.1:9/rpc/share", share_id: "share_of_the_test_0", secret }

function watching(dir: TempDir, ...args: string[]) {
  const child = cli(["watch", "--db", dir.file(), "--interval", "0.1", ...args])
  return {
    lines: new LineReader(child.stdout),
    child,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}

function serve(dir: TempDir) {
  const service = serveShareService({
    file: dir.file("service.db"),
    methods: {
      put: (_, title: unknown) => {
        if (title === "") throw new Rejection("title_empty", "a note needs a title")
      },
    },
  })
  return { url: `${service.url}/rpc/share`, [Symbol.asyncDispose]: () => service.stop() }
}

async function closedOutbox(dir: TempDir, fill: (outbox: Outbox) => void = () => {}): Promise<void> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  fill(outbox)
  await outbox.close({ flush_ms: 0 })
}

describe("a line per event", () => {
  test("what a host records, settles, is refused and removes", async () => {
    await using dir = tempDir()
    await using service = serve(dir)
    await using outbox = openOutbox(dir.file())
    await using watch = watching(dir)
    const { lines } = watch
    expect(await lines.until(/./)).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+ {2}0 pending, 0 dead, 0 streams; lease never taken/),
    ])
    outbox.pause()
    const notes = outbox.stream("notes", { ...nowhere, service: service.url }, { create: { session_id: "notes" } })
    await lines.until(/ {2}notes {2}new stream, to http/)
    outbox.unit(() => {
      for (const title of ["a", "b", ""]) notes.record({ method: "put", args: [title] })
    })
    await lines.until(/ {2}notes {2}recorded 3 ops$/)
    outbox.resume()
    await outbox.flush()
    const flushed = await lines.until(/ {2}notes {2}settled 3 ops in 1 batch, drained$/)
    const said = flushed.map((line) => line.replace(/^\S+ \S+ {2}/, ""))
    expect(said).toContain("notes  1 new dead letter: rejected by the service for good")
    expect(said.some((line) => line.startsWith(`lease taken by pid ${process.pid} on `))).toBeTrue()
    notes.remove()
    await outbox.flush()
    await lines.until(/ {2}notes {2}share removed/)
    watch.child.kill("SIGTERM")
    expect(await watch.child.exited).toBe(0)
  })

  test("attempts that fail, and a block that a person lifts", async () => {
    await using dir = tempDir()
    await using outbox = openOutbox(dir.file())
    await using watch = watching(dir)
    const { lines } = watch
    outbox.stream("notes", nowhere).record({ method: "put", args: [1] })
    await lines.until(/ {2}notes {2}attempt \d+ failed: refused; next/)
    {
      using db = new ScopedDatabase(dir.file())
      db.run("update sturdy_stream set block = 'revoked', block_message = 'gone'")
    }
    await lines.until(/ {2}notes {2}blocked: revoked \(gone\)$/)
    outbox.stream("notes", nowhere).unblock()
    await lines.until(/ {2}notes {2}unblocked, was revoked$/)
    void outbox.close({ flush_ms: 0 })
  })

  test("how it stands comes first: what is pending, and what needs a person", async () => {
    await using dir = tempDir()
    await closedOutbox(dir, (outbox) => {
      for (const name of ["notes", "drafts", "quiet"]) {
        const stream = outbox.stream(name, { ...nowhere, share_id: `share_of_the_${name}` })
        if (name !== "quiet") stream.record({ method: "put", args: [1] })
      }
    })
    using db = new ScopedDatabase(dir.file())
    db.run("update sturdy_stream set block = 'revoked' where name = 'notes'")
    db.close()
    const { code, out } = await run(["watch", "--db", dir.file(), "--count", "1"])
    expect(code).toBe(3)
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^\S+ \S+ {2}/, "")),
    ).toEqual([
      "2 pending, 0 dead, 3 streams; lease never taken: nothing was flushed yet",
      "notes  blocked: revoked, 1 op pending",
      "drafts  1 op pending",
    ])
    // Of the streams that were asked for.
    expect((await run(["watch", "--db", dir.file(), "--count", "1", "--stream", "d*"])).code).toBe(0)
  })
})

describe("an outbox that does not stay", () => {
  test("it goes and comes back: both are told, and looking goes on", async () => {
    await using dir = tempDir()
    await closedOutbox(dir)
    await using watch = watching(dir)
    await watch.lines.until(/0 streams/)
    renameSync(dir.file(), dir.file("away.db"))
    await watch.lines.until(/ {2}there is no outbox at .*Check the path\.$/)
    renameSync(dir.file("away.db"), dir.file())
    await watch.lines.until(/ {2}the outbox can be read again$/)
    const outbox = openOutbox(dir.file())
    outbox.pause()
    outbox.stream("notes", nowhere)
    await watch.lines.until(/ {2}notes {2}new stream/)
    await outbox.close({ flush_ms: 0 })
  })

  test("another one in its place is told, and nothing of it is compared with the one before", async () => {
    await using dir = tempDir()
    await closedOutbox(dir, (outbox) => outbox.stream("notes", nowhere).record({ method: "put", args: [1] }))
    await using other = tempDir()
    await closedOutbox(other, (outbox) => outbox.stream("other", nowhere).record({ method: "put", args: [1] }))
    await using watch = watching(dir)
    await watch.lines.until(/notes {2}1 op pending$/)
    copyFileSync(other.file(), dir.file("new.db"))
    renameSync(dir.file("new.db"), dir.file())
    const [told, ...standing] = await watch.lines.until(/other {2}1 op pending$/)
    expect(told).toEndWith("  another outbox lies in its place now")
    expect(standing).toHaveLength(2)
  })

  test("one that is locked for everybody is told as such, and looked for again", async () => {
    await using dir = tempDir()
    await closedOutbox(dir)
    await using watch = watching(dir, "--json")
    await watch.lines.until(/"type":"look"/)
    const db = new ScopedDatabase(dir.file())
    db.run("pragma locking_mode = exclusive")
    db.run("update sturdy_meta set time_created = time_created + 1")
    const lost = JSON.parse((await watch.lines.until(/"type":"lost"/)).at(-1)!)
    expect(lost).toMatchObject({ version: 1, code: expect.stringMatching(/busy|locked/) })
    db.close()
    await watch.lines.until(/"type":"found"/)
  })

  test("one that is not there at the start is refused in one line, as everywhere", async () => {
    await using dir = tempDir()
    const ran = await run(["watch", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(readdirSync(dir.path)).toEqual([])
  })

  test("one that is gone is told once, and at the last of --count the exit code is that of the fault", async () => {
    await using dir = tempDir()
    await closedOutbox(dir)
    await using watch = watching(dir, "--count", "8")
    await watch.lines.until(/0 streams/)
    rmSync(dir.file())
    await watch.lines.until(/there is no outbox/)
    expect(await watch.lines.next()).toBeUndefined()
    expect(await watch.child.exited).toBe(1)
  })
})

describe("--json", () => {
  test("every line is an object with version, time and type; streams are told whole first, then as they change", async () => {
    await using dir = tempDir()
    await using outbox = openOutbox(dir.file())
    outbox.pause()
    const notes = outbox.stream("notes", nowhere)
    outbox.stream("quiet", { ...nowhere, share_id: "share_of_the_test_1" })
    await using watch = watching(dir, "--json")
    const first = JSON.parse((await watch.lines.until(/"type":"look"/)).join("\n"))
    expect(first).toMatchObject({ version: 1, pending: 0, dead: 0, needs_person: false, lease: null })
    expect(first.streams.map(({ stream }: { stream: string }) => stream)).toEqual(["notes", "quiet"])
    outbox.unit(() => {
      for (const n of [1, 2]) notes.record({ method: "put", args: [n] })
    })
    const said = (await watch.lines.until(/"type":"look","pending":2/)).map((line) => JSON.parse(line))
    for (const line of said)
      expect(line).toMatchObject({ version: 1, time: expect.any(Number), type: expect.any(String) })
    expect(said.at(-2)).toMatchObject({ type: "recorded", stream: "notes", ops: 2 })
    expect(said.at(-1).streams).toEqual([expect.objectContaining({ stream: "notes", pending: 2 })])
    expect(said.at(-1).recorded_per_s).toBeGreaterThan(0)
    void outbox.close({ flush_ms: 0 })
  })

  test("piped into something that stops reading, it ends without a trace", async () => {
    await using dir = tempDir()
    await closedOutbox(dir)
    const main = join(import.meta.dir, "../../src/cli/main.ts")
    const line = `"${process.execPath}" "${main}" watch --json --interval 0.1 --db "${dir.file()}" | head -2`
    const child = Bun.spawn(["sh", "-c", line], { stdout: "pipe", stderr: "pipe" })
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect(out.trimEnd().split("\n")).toHaveLength(2)
    expect(err).toBe("")
  })
})

test("an outbox at rest is the same after as before, and nothing lies beside it", async () => {
  await using dir = tempDir()
  await closedOutbox(dir, (outbox) => outbox.stream("notes", nowhere).record({ method: "put", args: [secret] }))
  const before = readFileSync(dir.file())
  for (const json of [[], ["--json"]]) {
    const { code, out, err } = await run(["watch", "--db", dir.file(), "--interval", "0.1", "--count", "3", ...json])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out).not.toContain("canary")
  }
  expect(readFileSync(dir.file()).equals(before)).toBeTrue()
  expect(readdirSync(dir.path)).toEqual(["outbox.db"])
})

test("--count is the number of looks", async () => {
  await using dir = tempDir()
  await closedOutbox(dir)
  const { out } = await run(["watch", "--db", dir.file(), "--interval", "0.1", "--count", "2", "--json"])
  expect(out.trimEnd().split("\n")).toHaveLength(2)
})

test("--stream takes * for any text, other signs for themselves, and the whole name", async () => {
  await using dir = tempDir()
  const names = ["a.c", "abc", "a.cd", "b.c"]
  await closedOutbox(dir, (outbox) => {
    for (const [n, name] of names.entries()) outbox.stream(name, { ...nowhere, share_id: `share_of_the_test_${n}` })
  })
  const shown = async (pattern: string) => {
    const { out } = await run(["watch", "--db", dir.file(), "--count", "1", "--json", "--stream", pattern])
    return (lastJson(out).streams as { stream: string }[]).map(({ stream }) => stream)
  }
  expect(await shown("a.*")).toEqual(["a.c", "a.cd"])
  expect(await shown("*c")).toEqual(["a.c", "abc", "b.c"])
  expect(await shown("a.c")).toEqual(["a.c"])
})

const wrong: [args: string[], message: string][] = [
  [["--interval", "0.05"], "--interval must be seconds from 0.1 to 3600, got 0.05"],
  [["--interval", "soon"], "--interval must be seconds"],
  [["--interval", "1e3"], "--interval must be seconds"],
  [["--count", "0"], "--count must be a number from 1"],
]
for (const [args, message] of wrong)
  test(`watch ${args.join(" ")} ends with 2 and says what is wrong`, async () => {
    const { code, out, err } = await run(["watch", "--db", "x", ...args])
    expect({ code, out }).toEqual({ code: 2, out: "" })
    expect(err).toContain(message)
  })

test("a stream that is not there is told with the one that was meant", async () => {
  await using dir = tempDir()
  await closedOutbox(dir, (outbox) => void outbox.stream("notes", nowhere))
  const ran = await run(["watch", "--db", dir.file(), "--stream", "note"])
  expect(ran.code).toBe(1)
  expectOneLine(ran)
  expect(ran.err).toContain("Did you mean notes?")
  expect(lastJson((await run(["watch", "--db", dir.file(), "--json", "--count", "1"])).out)).toMatchObject({
    pending: 0,
  })
})
