/** The CLI as a child process. */
import { join } from "node:path"

const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts")

export function cli(args: readonly string[], env: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, main, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, STURDY_DB: "", ...env },
  })
}

export interface Ran {
  code: number
  out: string
  err: string
}

export async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = cli(args, env)
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, out, err }
}

export function lastJson(out: string): Record<string, unknown> {
  return JSON.parse(out.trimEnd().split("\n").at(-1)!) as Record<string, unknown>
}
