import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { Database } from "bun:sqlite"
import { type CliBox, openCliBox } from "./box.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson } from "./run.ts"

const canary = "canary_secret_0123456789_abcdef_0123456789"

/** A stream with an op that its service knows not with the secret that is stored here. Its right secret. */
async function standing(box: CliBox): Promise<string> {
  let secret = ""
  await box.host((_, notes) => {
    secret = notes.ref().secret
    notes.record({ method: "create", args: [{ title: "a" }] })
  })
  await box.host((_, notes) => {
    notes.unblock({ secret: canary })
    notes.record({ method: "create", args: [{ title: "b" }] })
  })
  expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ pending: 1, needs_person: true })
  return secret
}

function secretOf(box: CliBox): string {
  using db = new Database(box.file, { readonly: true })
  return (db.query("select secret from sturdy_stream").get() as { secret: string }).secret
}

describe("unblock", () => {
  test("with another secret from a file the same op goes on", async () => {
    await using box = await openCliBox()
    writeFileSync(box.dir.file("secret"), `${await standing(box)}\n`, { mode: 0o600 })
    const { code, out, err } = await box.run("unblock", "notes", "--secret-file", box.dir.file("secret"))
    expect([code, out]).toEqual([0, "notes: the block share_unknown is lifted; another secret is stored\n"])
    expect(err).toContain("sturdy flush")
    expect((await box.run("flush")).code).toBe(0)
    expect(box.applied).toEqual(["a", "b"])
  })

  test("- reads the secret from standard input", async () => {
    await using box = await openCliBox()
    const secret = await standing(box)
    const child = Bun.spawn(
      [process.execPath, "src/cli/main.ts", "unblock", "notes", "--secret-file", "-", "--db", box.file],
      {
        stdin: Buffer.from(secret),
        stdout: "ignore",
        stderr: "ignore",
        cwd: `${import.meta.dir}/../..`,
      },
    )
    expect(await child.exited).toBe(0)
    expect(secretOf(box)).toBe(secret)
  })

  test("sends nothing itself", async () => {
    await using box = await openCliBox()
    await standing(box)
    const before = lastJson((await box.run("status", "--json")).out) as { streams: { posts: number }[] }
    await box.run("unblock", "notes")
    const after = lastJson((await box.run("status", "--json")).out) as { streams: { posts: number; block: null }[] }
    expect(after.streams[0]).toMatchObject({ block: null, posts: before.streams[0]!.posts })
  })

  test("--all --reason lifts those blocks only", async () => {
    await using box = await openCliBox()
    await standing(box)
    expect((await box.run("unblock", "--all", "--reason", "revoked")).err).toBe("no stream is blocked by revoked\n")
    const { out } = await box.run("unblock", "--all", "--reason", "share_unknown", "--json")
    expect(lastJson(out)).toEqual({ version: 1, stream: "notes", was: "share_unknown" })
    expect((await box.run("unblock", "--all")).err).toBe("no stream is blocked\n")
  })

  test("says so where a stream was not blocked", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }))
    expect((await box.run("unblock", "notes")).out).toBe("notes: was not blocked\n")
  })

  test("a stream that is not there is refused, with what was meant", async () => {
    await using box = await openCliBox()
    await standing(box)
    const ran = await box.run("unblock", "notse")
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("Did you mean notes?")
  })

  test("no output repeats the secret that was given, right or wrong", async () => {
    await using box = await openCliBox()
    await standing(box)
    writeFileSync(box.dir.file("secret"), canary)
    writeFileSync(box.dir.file("nonsense"), `${canary} and more`)
    for (const file of ["secret", "nonsense"]) {
      const { out, err } = await box.run("unblock", "notes", "--secret-file", box.dir.file(file))
      expect(out + err).not.toContain("canary")
    }
  })

  test.each([
    ["no stream", ["unblock"], "Name it, or say --all"],
    ["a stream and --all", ["unblock", "notes", "--all"], "either STREAMs or --all"],
    ["a reason that no block has", ["unblock", "--all", "--reason", "bogus"], "--reason must be one of revoked, "],
    ["a reason without --all", ["unblock", "notes", "--reason", "revoked"], "--reason goes with --all"],
    ["a service that is no URL", ["unblock", "notes", "--service", "nowhere"], "must be an http(s) URL"],
    ["a file that is not there", ["unblock", "notes", "--secret-file", "/nowhere/at/all"], "cannot be read (ENOENT)"],
  ])("%s is wrong usage", async (_, args, message) => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }), false)
    const { code, err } = await box.run(...args)
    expect([code, err]).toEqual([2, expect.stringContaining(message)])
  })
})
