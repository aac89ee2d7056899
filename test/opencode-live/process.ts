/** Processes of opencode: each bounded in time, and ended by its own pid. */
import { appendFileSync } from "node:fs"
import { join } from "node:path"
import type { Box } from "./box.ts"
import { OpencodeClient } from "./client.ts"

export interface RunOptions {
  /** @default 60 000 */
  timeout_ms?: number
  env?: Record<string, string>
  /** It runs: to send it signals. */
  started?: (child: Bun.Subprocess) => void
}

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  ms: number
}

/** `opencode run …`, or any other command that ends by itself. @throws Error if it does not in time */
export async function runOnce(box: Box, args: string[], options: RunOptions = {}): Promise<Ran> {
  const { timeout_ms = 60_000 } = options
  const began = performance.now()
  const child = Bun.spawn([box.binary, ...args], {
    cwd: box.work,
    env: { ...box.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  options.started?.(child)
  const late = setTimeout(() => child.kill("SIGKILL"), timeout_ms)
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  await child.exited
  clearTimeout(late)
  const ms = performance.now() - began
  appendFileSync(join(box.options.path, "run.log"), `${args.join(" ")}: ${child.exitCode}\n${stdout}${stderr}\n`)
  if (ms >= timeout_ms) throw new Error(`opencode ${args.join(" ")} did not end within ${timeout_ms} ms`)
  return { code: child.exitCode, stdout, stderr, ms }
}

export interface Serving extends AsyncDisposable {
  readonly client: OpencodeClient
  readonly pid: number
  /** Ends it, and waits until it has ended; one that does not within 10 s is killed. */
  kill(signal?: "SIGTERM" | "SIGKILL"): Promise<void>
}

const start_timeout_ms = 90_000
const stop_timeout_ms = 10_000

/** `opencode serve` on a free port. Its log goes into the box. @throws Error if it does not start */
export async function serve(box: Box): Promise<Serving> {
  const child = Bun.spawn([box.binary, "serve", "--hostname", "127.0.0.1", "--port", "0", "--print-logs"], {
    cwd: box.work,
    env: box.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: Bun.file(join(box.options.path, `serve-${Date.now()}.log`)),
  })
  const late = setTimeout(() => child.kill("SIGKILL"), start_timeout_ms)
  const url = await listening(child.stdout)
  clearTimeout(late)
  if (!url) throw new Error(`opencode serve did not start: exit code ${await child.exited}`)
  const kill = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    child.kill(signal)
    const late = setTimeout(() => child.kill("SIGKILL"), stop_timeout_ms)
    await child.exited
    clearTimeout(late)
  }
  return { client: new OpencodeClient(url, box.work), pid: child.pid, kill, [Symbol.asyncDispose]: () => kill() }
}

/** The url that it prints; undefined if it ended. The rest of its output is read and dropped. */
async function listening(stdout: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const reader = stdout.getReader()
  const decoder = new TextDecoder()
  let seen = ""
  let url: string | undefined
  while (!url) {
    const { done, value } = await reader.read()
    if (done) return
    seen += decoder.decode(value, { stream: true })
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(seen)?.[0]
  }
  void (async () => {
    while (!(await reader.read()).done);
  })()
  return url
}
