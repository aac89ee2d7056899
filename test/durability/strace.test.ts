/** What the kernel saw: each durable() that resolved stands after an fdatasync of the -wal that began after the op's write. */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { tempDir } from "../temp-dir.ts"

const strace = Bun.which("strace")
if (!strace) console.log("skipped: strace is not on this machine, the order of system calls is not checked")

interface Call {
  at: number
  name: string
  path: string
  text: string
  /** Line on which it returned. */
  end: number
}

/** Lines of `strace -f -y`, with calls that other threads interrupted put together again. */
function callsOf(trace: string): Call[] {
  const calls: Call[] = []
  const open = new Map<string, Call>()
  for (const [at, line] of trace.split("\n").entries()) {
    const [, pid = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. (\w+) resumed>/.exec(rest)
    if (resumed) {
      const call = open.get(`${pid} ${resumed[1]}`)
      if (call) call.end = at
      continue
    }
    const [, name, path, text] = /^(\w+)\(\d+<([^>]*)>(.*)$/.exec(rest) ?? []
    if (!name || path === undefined) continue
    const call: Call = { at, name, path, text: text ?? "", end: rest.endsWith("<unfinished ...>") ? Infinity : at }
    if (call.end === Infinity) open.set(`${pid} ${name}`, call)
    calls.push(call)
  }
  return calls
}

async function trace(mode: "file" | "host", name: string): Promise<{ calls: Call[]; resolved: Call[]; wal: string }> {
  await using dir = tempDir()
  const out = dir.file("trace")
  const file = dir.file("outbox.db")
  const child = Bun.spawn(
    [strace!, "-f", "-y", "-s", "200", "-e", "trace=fdatasync,fsync,pwrite64,write", "-o", out].concat([
      process.execPath,
      `${import.meta.dir}/strace-fixture.ts`,
      file,
      mode,
    ]),
    { stdout: "ignore", stderr: "inherit" },
  )
  expect([name, await child.exited]).toEqual([name, 0])
  const calls = callsOf(readFileSync(out, "utf8"))
  return { calls, resolved: calls.filter((call) => call.text.includes('"durable ')), wal: `${file}-wal` }
}

for (const [mode, sync] of [
  ["file", "fdatasync"],
  ["host", "fsync"],
] as const)
  test.if(strace !== null)(
    `every durable() of an outbox in ${mode} mode follows a whole ${sync} of the -wal`,
    async () => {
      const { calls, resolved, wal } = await trace(mode, sync)
      expect(resolved.length).toBe(10)
      for (const answer of resolved) {
        const op = /durable (\d+)/.exec(answer.text)![1]
        // The fixture says when record returned: all that the op wrote to the -wal stands before.
        const recorded = calls.find((call) => call.text.includes(`"recorded ${op}\\n"`))!
        const written = calls.findLast(({ name, path, at }) => name === "pwrite64" && path === wal && at < recorded.at)!
        const covering = calls.find(
          ({ name, path, at, end }) => name === sync && path === wal && at > written.end && end < answer.at,
        )
        expect([op, covering !== undefined]).toEqual([op, true])
      }
    },
  )
