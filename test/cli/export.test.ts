/** `sturdy export`: real processes on real outboxes, whole, in use, damaged and locked. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { many } from "../many.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { closedOutbox, flip, hashes, killedOutbox, largeOutbox, leafOf, ruin } from "../store/damage.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, type Ran, run } from "./run.ts"

const secret = "canary_secret_0123456789abcdef"
const ref = { service: "http://127.0.0.1:9/rpc/share", share_id: "share_of_the_test_0", secret }

interface Line extends Record<string, unknown> {
  op_id: string
  args: string
  stream: string
  seq: number
}

const linesOf = ({ out }: Pick<Ran, "out">) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line)

/** One op that depends on another, with a secret in what was written; a dead letter, one that was decided. */
async function filledOutbox(dir: TempDir, file = dir.file()): Promise<string> {
  const outbox = openOutbox(file)
  outbox.pause()
  const notes = outbox.stream("notes/private", ref)
  const first = notes.record({ method: "put", args: [{ title: "a private title", secret }], key: "note/1" })
  notes.record({ method: "link", args: [first, 4711], actorId: "a private actor" })
  outbox.stream("other", { ...ref, share_id: "share_of_the_test_1" }).record({ method: "put", args: [2] })
  await outbox.close({ flush_ms: 0 })
  using db = new ScopedDatabase(file)
  for (const [n, decision] of [
    [1000, null],
    [1001, "discarded"],
  ] as const) {
    const op_id = Buffer.alloc(16, n)
    const op = { op_id: "00000000000000000000000000", method: "put", args: `["a private title ${n}"]`, depends_on: [] }
    db.query(
      `insert into sturdy_dead_letter (seq, op_id, code, message, op, time_created, decision)
       values (?, ?, 'note_full', 'a private message', ?, 5, ?)`,
    ).run(2 ** 33 + n, op_id, JSON.stringify(op), decision)
  }
  db.run(
    "update sturdy_stream set cursor = cursor + 1002, frozen_seq = frozen_seq + 1002, dead_count = 1 where stream_id = 2",
  )
  db.close()
  return file
}

describe("export", () => {
  test("is a line for the outbox, then one per op that waits or is a dead letter that nobody has decided", async () => {
    await using dir = tempDir()
    const ran = await run(["export", "--db", await filledOutbox(dir)])
    expect(ran.code).toBe(0)
    const [header, ...ops] = linesOf(ran)
    expect(header).toMatchObject({
      version: 1,
      kind: "outbox",
      redacted: false,
      one_instant: false,
      lease: null,
      streams: [{ stream: "notes/private", pending: 2, writer_id: expect.any(String) }, { stream: "other" }],
    })
    expect(ops.map(({ kind, stream, seq, state }) => [kind, stream, seq, state])).toEqual([
      ["op", "notes/private", 1, "pending"],
      ["op", "notes/private", 2, "pending"],
      ["op", "other", 1000, "failed"],
    ])
    expect(ops[0]).toMatchObject({ method: "put", key: "note/1", whole: true, continues: false, batch_id: null })
    expect(JSON.parse(ops[1]!.args)[0][0]).toEqual(["$ref", ops[0]!.op_id, []])
    expect(ops[1]).toMatchObject({ actor_id: "a private actor", depends_on: [ops[0]!.op_id] })
    expect(ops[2]).toMatchObject({ rejection: { code: "note_full", message: "a private message", decision: null } })
    expect(ran.err).toContain("3 ops, with payloads: --redact")
  })

  test("names the op of --stream, of --state, and with --all everything that is kept", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const places = async (...args: string[]) =>
      linesOf(await run(["export", "--db", file, ...args]))
        .slice(1)
        .map(({ stream, seq }) => `${stream} ${seq}`)
    expect(await places("--stream", "other", "--all")).toEqual(["other 1", "other 1000", "other 1001"])
    expect(await places("--state", "failed")).toEqual(["other 1000", "other 1001"])
    expect(await places("--state", "acked")).toEqual(["other 1"])
    expect(await places("--stream", "not*", "--state", "pending")).toEqual(["notes/private 1", "notes/private 2"])
    expect(await places("--all")).toEqual(["notes/private 1", "notes/private 2", "other 1", "other 1000", "other 1001"])
    const wrong = await run(["export", "--db", file, "--stream", "note"])
    expect(wrong.code).toBe(1)
    expectOneLine(wrong)
  })

  test("never holds a secret of the outbox, wherever it was written", async () => {
    await using dir = tempDir()
    const { out, err } = await run(["export", "--all", "--db", await filledOutbox(dir)])
    expect(out + err).not.toContain("canary")
    expect(out).toContain("[secret]")
  })

  test("--redact holds nothing that people wrote", async () => {
    await using dir = tempDir()
    const { code, out, err } = await run(["export", "--redact", "--all", "--db", await filledOutbox(dir)])
    expect(code).toBe(0)
    for (const text of ["private", "title", "canary", "4711", "share_of", "other", "notes"])
      expect(out).not.toContain(text)
    expect(linesOf({ out })[0]).toMatchObject({ redacted: true, streams: [{ service: ref.service }, {}] })
    expect(err).toContain("redacted")
  })

  test("--redact holds not even the name of the stream that was asked for", async () => {
    await using dir = tempDir()
    const { out } = await run(["export", "--redact", "--stream", "notes/private", "--db", await filledOutbox(dir)])
    expect(linesOf({ out })).toHaveLength(3)
    expect(out).not.toContain("private")
  })

  test("changes no byte and leaves nothing beside the outbox", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const before = hashes(dir)
    await run(["export", "--db", file])
    expect(hashes(dir)).toEqual(before)
    expect(readdirSync(dir.path)).toEqual(["outbox.db"])
  })

  test("piped into something that stops reading ends without a trace", async () => {
    await using dir = tempDir()
    largeOutbox(dir.file(), 20_000)
    const main = join(import.meta.dir, "../../src/cli/main.ts")
    const line = `"${process.execPath}" "${main}" export --db "${dir.file()}" | head -2`
    const child = Bun.spawn(["sh", "-c", line], { stdout: "pipe", stderr: "pipe" })
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    expect(linesOf({ out })).toHaveLength(2)
    expect(err).toBe("")
  })

  test("beside a host that goes on has each op once, in order, and lets it write its -wal back", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const notes = outbox.stream("notes", ref)
    for (let n = 0; n < 5_000; n++) notes.record({ method: "put", args: [n] })
    const child = cli(["export", "--db", dir.file()])
    const reading = new Response(child.stdout).text()
    for (let n = 0; child.exitCode === null; n++) {
      notes.record({ method: "put", args: [n] })
      await Bun.sleep(1)
    }
    const seqs = linesOf({ out: await reading })
      .slice(1)
      .map((op) => op.seq)
    expect(seqs.slice(0, 5_000)).toEqual(Array.from({ length: 5_000 }, (_, n) => n + 1))
    expect(new Set(seqs).size).toBe(seqs.length)
    await outbox.close({ flush_ms: 0 })
  })
})

test("export tells of ops that should be there and are not, and ends with 3", async () => {
  await using dir = tempDir()
  const file = await filledOutbox(dir)
  using db = new ScopedDatabase(file)
  db.run("delete from sturdy_op where seq = 1 * 4294967296 + 1")
  db.close()
  const { code, out, err } = await run(["export", "--db", file])
  expect([code, out.trimEnd().split("\n").length]).toEqual([3, 3])
  expect(err).toContain("2 ops of 3 that should be there: sturdy doctor --db")
})

describe("export --output", () => {
  test("makes a file for its owner alone, and refuses one that is there", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    const to = dir.file("out.jsonl")
    const ran = await run(["export", "--db", file, "--output", to])
    expect([ran.code, ran.out]).toEqual([0, ""])
    expect((statSync(to).mode & 0o777).toString(8)).toBe("600")
    expect(linesOf({ out: readFileSync(to, "utf8") })).toHaveLength(4)
    const before = hashes(dir)
    const again = await run(["export", "--db", file, "--output", to])
    expect(again.code).toBe(1)
    expectOneLine(again)
    expect(hashes(dir)).toEqual(before)
  })

  test("interrupted leaves nothing, and ends by the signal", async () => {
    await using dir = tempDir()
    largeOutbox(dir.file(), 60_000)
    const child = cli(["export", "--db", dir.file(), "--output", dir.file("out.jsonl")])
    while (!readdirSync(dir.path).some((name) => name.endsWith(".unfinished"))) await Bun.sleep(1)
    child.kill("SIGINT")
    await child.exited
    expect(child.signalCode).toBe("SIGINT")
    expect(readdirSync(dir.path)).toEqual(["outbox.db"])
  })

  test.skipIf(process.getuid?.() === 0)("into a folder that may not be written is refused in one line", async () => {
    await using dir = tempDir()
    const file = await filledOutbox(dir)
    chmodSync(dir.path, 0o500)
    const ran = await run(["export", "--db", file, "--output", dir.file("out.jsonl")])
    chmodSync(dir.path, 0o700)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
  })
})

describe("export of a damaged outbox writes what can be read, says what cannot, and ends with 3:", () => {
  const cases: [string, (file: string) => void, (file: string) => void, least: number, said: string][] = [
    [
      "a page",
      (file) => void closedOutbox(file, many(1_000)),
      (file) => ruin(file, leafOf(file, "sturdy_op")),
      900,
      " of 1,000 ops",
    ],
    ["the first page", (file) => void closedOutbox(file, many(1_000)), (file) => ruin(file, 1), 1_000, "first page"],
    [
      "the -wal",
      (file) => void killedOutbox(file, { before: many(5), after: many(400) }),
      (file) => flip(`${file}-wal`, statSync(`${file}-wal`).size >> 1),
      100,
      "frames of its -wal",
    ],
    [
      "its streams",
      (file) => void closedOutbox(file, many(1_000)),
      (file) => ruin(file, leafOf(file, "sturdy_stream")),
      1_000,
      "not even its name",
    ],
  ]
  for (const [what, make, damage, least, said] of cases)
    test(what, async () => {
      await using dir = tempDir()
      make(dir.file())
      damage(dir.file())
      const before = hashes(dir)
      const ran = await run(["export", "--db", dir.file()])
      expect(ran.code).toBe(3)
      expect(linesOf(ran).length - 1).toBeGreaterThanOrEqual(least)
      expect(ran.err).toContain(said)
      expect(ran.err).toContain(`sturdy doctor --db ${dir.file()}`)
      expect(hashes(dir)).toEqual(before)
    })

  test("what is none is refused in one line", async () => {
    await using dir = tempDir()
    writeFileSync(dir.file(), "not a database at all, but longer than a header would be\n".repeat(9_000))
    const ran = await run(["export", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(existsSync(`${dir.file()}-wal`)).toBeFalse()
  })
})
