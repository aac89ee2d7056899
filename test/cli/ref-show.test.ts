/** `sturdy ref show`: the secret only to a person at a terminal who asks for it. */
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { until } from "../until.ts"
import { tamper } from "./doctor-box.ts"
import { onTerminal } from "./on-terminal.ts"
import { lastJson, run } from "./run.ts"

const main = join(import.meta.dir, "../../src/cli/main.ts")
const ref = (n: number) => ({
  service: "http://127.0.0.1:9/rpc/share",
  share_id: `share_of_the_test_${n}`,
  secret: `canary_secret_0123456789_${n}`,
})

/** A stream whose share this outbox creates, and one whose ref came from elsewhere. */
async function outboxIn(dir: TempDir): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  outbox.stream("ours", ref(1), { create: { session_id: "ses_1" } })
  outbox.stream("theirs", ref(2))
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

const jsonLines = (out: string) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe("ref show", () => {
  test("tells of each stream who created its share and whether it is removed, and no secret", async () => {
    await using dir = tempDir()
    const file = await outboxIn(dir)
    tamper(file, "update sturdy_stream set time_removal = 1, next_secret = 'canary_next' where name = 'ours'")
    const { code, out, err } = await run(["ref", "show", "--json", "--db", file])
    expect([code, err]).toEqual([0, ""])
    expect(jsonLines(out)).toMatchObject([
      { version: 1, stream: "ours", share_id: "share_of_the_test_1", created: "here", removed: true },
      { version: 1, stream: "theirs", share_id: "share_of_the_test_2", created: "elsewhere", removed: false },
    ])
    expect(out + (await run(["ref", "show", "--db", file])).out).not.toContain("canary")
  })

  test("of one stream tells that one alone", async () => {
    await using dir = tempDir()
    const { out } = await run(["ref", "show", "theirs", "--json", "--db", await outboxIn(dir)])
    expect(jsonLines(out).map(({ stream }) => stream)).toEqual(["theirs"])
  })

  test.each([
    ["into a pipe", ["ours", "--secret"]],
    ["as JSON", ["ours", "--secret", "--json"]],
    ["of no stream in particular", ["--secret"]],
  ])("--secret %s is wrong usage, and tells nothing", async (_, args) => {
    await using dir = tempDir()
    const { code, out, err } = await run(["ref", "show", ...args, "--db", await outboxIn(dir)])
    expect([code, out]).toEqual([2, ""])
    expect(err).toContain("--secret")
    expect(err).not.toContain("canary")
  })
})

describe.skipIf(process.platform === "win32")("ref show at a terminal", () => {
  async function shown(file: string, ...args: string[]) {
    await using on = onTerminal(main, ["ref", "show", ...args, "--db", file])
    const code = await on.child.exited
    // The last line of either end.
    await until(() => /hand it out as you would|at a terminal only|usage: /.test(on.seen.text))
    return { code, text: on.seen.text }
  }

  test("tells the secret of the stream that was named, and no other", async () => {
    await using dir = tempDir()
    const { code, text } = await shown(await outboxIn(dir), "ours", "--secret")
    expect(code).toBe(0)
    expect(text).toContain(`secret    ${ref(1).secret}\r\n`)
    expect(text).not.toContain(ref(2).secret)
  })

  test("says that a rotation has not ended, and how to end it, not what it has drawn", async () => {
    await using dir = tempDir()
    const file = await outboxIn(dir)
    tamper(file, "update sturdy_stream set next_secret = 'canary_next' where name = 'ours'")
    const { text } = await shown(file, "ours", "--secret")
    expect(text).toContain(`sturdy ref rotate ours --db ${file}`)
    expect(text).not.toContain("canary_next")
  })

  test("refuses it as JSON, and for all streams", async () => {
    await using dir = tempDir()
    const file = await outboxIn(dir)
    for (const args of [["ours", "--secret", "--json"], ["--secret"]]) {
      const { code, text } = await shown(file, ...args)
      expect(code).toBe(2)
      expect(text).not.toContain("canary")
    }
  })
})

test("no outbox is made by asking", async () => {
  await using dir = tempDir()
  expect((await run(["ref", "show", "--db", dir.file()])).code).toBe(1)
  expect(await Bun.file(dir.file()).exists()).toBeFalse()
  expect(lastJson((await run(["ref", "show", "--json", "--db", await outboxIn(dir)])).out)).toHaveProperty("created")
})
