/** Nothing in the background keeps a process; what somebody waits for does. */
import { expect, test } from "bun:test"
import { tempDir } from "../temp-dir.ts"

async function lifeOf(what: string) {
  await using dir = tempDir()
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/exit-fixture.ts`, dir.file(), what], {
    stdout: "pipe",
    stderr: "pipe",
  })
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
