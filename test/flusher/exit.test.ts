/** Nothing in the background keeps a process; what somebody waits for does. */
import { expect, test } from "bun:test"
import { tempDir } from "../temp-dir.ts"
import { rawServer } from "../wire/raw-server.ts"

async function lifeOf(what: string, server?: { url: string; asked: Promise<void> }) {
  await using dir = tempDir()
  const command = [process.execPath, `${import.meta.dir}/exit-fixture.ts`, dir.file(), what]
  const child = Bun.spawn([...command, ...(server ? [server.url] : [])], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  })
  if (server) {
    await server.asked
    child.stdin.write("go")
    await child.stdin.flush()
  }
  const { value, done } = await child.stdout.getReader().read()
  const said = done ? "" : new TextDecoder().decode(value).trim()
  if (said) child.kill("SIGKILL")
  const code = await child.exited
  return said || `exit ${code}${await new Response(child.stderr).text()}`
}

test("a process with a retry pending in the background exits by itself", async () => {
  expect(await lifeOf("nothing")).toBe("exit 0")
})

test.each(["flush", "result", "close"])("a process that waits for %s stays", async (what) => {
  expect(await lifeOf(what)).toBe("still here")
})

test("a POST in flight to a server that never answers does not keep the process", async () => {
  using server = rawServer({ text: "", after: "hang" })
  expect(await lifeOf("nothing", server)).toBe("exit 0")
})

test.each(["flush", "result", "close"])("with a POST in flight, a process that waits for %s stays", async (what) => {
  using server = rawServer({ text: "", after: "hang" })
  expect(await lifeOf(what, server)).toBe("still here")
})
