import { expect, test } from "bun:test"
import { join } from "node:path"

function start(...args: string[]) {
  const script = join(import.meta.dir, "held-signals-fixture.ts")
  return Bun.spawn([process.execPath, script, ...args], { stdin: "pipe", stdout: "pipe" })
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
  test(`a process that ${signal} is to end finishes its work first, and dies of it`, async () => {
    const child = start(signal, "none")
    expect(await new Response(child.stdout).text()).toBe("finished\n")
    await child.exited
    expect(child.signalCode).toBe(signal as NodeJS.Signals)
  })

test("whoever listens hears of it afterwards, once, and goes on", async () => {
  const child = start("SIGTERM", "once")
  const reader = child.stdout.getReader()
  let said = ""
  while (!said.includes("heard")) said += new TextDecoder().decode((await reader.read()).value)
  void child.stdin.end()
  for (let read = await reader.read(); !read.done; read = await reader.read())
    said += new TextDecoder().decode(read.value)
  expect([said, await child.exited]).toEqual(["finished\nheard\nended\n", 0])
})
