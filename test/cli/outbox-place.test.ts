/** Which outbox a command is about. */
import { symlinkSync } from "node:fs"
import { expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { tempDir } from "../temp-dir.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson, run } from "./run.ts"

const ref = { service: "http://127.0.0.1:9/rpc/share", share_id: "share_of_the_test_0", secret: "s".repeat(43) }

/** Two pending ops, in a file that nobody has open. */
async function filledOutbox(file: string): Promise<string> {
  const outbox = openOutbox(file)
  outbox.pause()
  const notes = outbox.stream("notes", ref)
  for (const n of [1, 2]) notes.record({ method: "put", args: [n] })
  await outbox.close({ flush_ms: 0 })
  return file
}

test("an outbox is found by a link beside whose name there is no -wal", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file())
  outbox.pause()
  outbox.stream("notes", ref).record({ method: "put", args: [1] })
  symlinkSync(dir.file(), dir.file("link.db"))
  const { code, out } = await run(["status", "--db", dir.file("link.db"), "--json"])
  expect([code, lastJson(out)]).toMatchObject([0, { pending: 1, file: { file: dir.file() } }])
  void outbox.close({ flush_ms: 0 })
})

test("without --db and STURDY_DB it is that of opencode's plugin, and the answer says so", async () => {
  await using dir = tempDir()
  const env = { HOME: dir.path, XDG_DATA_HOME: "", OPENCODE_TEST_HOME: "", OPENCODE_DB: "" }
  const missing = await run(["ops"], env)
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("~/.local/share/opencode/sturdy/outbox.db")])
  expectOneLine(missing)
  await filledOutbox(dir.file(".local/share/opencode/sturdy/outbox.db"))
  const { code, out, err } = await run(["ops"], env)
  expect([code, out.trimEnd().split("\n").length]).toEqual([0, 3])
  expect(err).toBe("outbox: ~/.local/share/opencode/sturdy/outbox.db (where opencode's plugin has it)\n")
})

test("STURDY_DB names the outbox where --db does not", async () => {
  await using dir = tempDir()
  const { code, out } = await run(["status", "--json"], { STURDY_DB: await filledOutbox(dir.file()) })
  expect({ code, pending: lastJson(out).pending }).toEqual({ code: 0, pending: 2 })
})
