/** An outbox that a doctor looks at, and what it says. */
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs"
import { openOutbox } from "../../src/outbox.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import type { TempDir } from "../temp-dir.ts"
import { run } from "./run.ts"

export const ref = {
  service: "http://127.0.0.1:9/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "canary_secret_0123456789abcdef",
}

export interface Found {
  check: string
  level: string
  message: string
  cure?: string
  command?: string
  [fact: string]: unknown
}

export interface Diagnosis {
  code: number
  /** Without those that are ok. */
  odd: Found[]
  of(check: string): Found[]
  all: Found[]
  out: string
  err: string
}

/** What the disk of the machine is like, says nothing of Sturdy. */
const ofMachine = "disk"

export async function diagnose(
  file: string,
  args: string[] = ["--offline"],
  env: Record<string, string> = {},
): Promise<Diagnosis> {
  const { code, out, err } = await run(["doctor", "--db", file, "--json", ...args], env)
  const all = out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Found)
  return {
    code,
    out,
    err,
    all,
    odd: all.filter(({ check, level }) => level !== "ok" && check !== ofMachine),
    of: (check) => all.filter((found) => found.check === check && found.level !== "ok"),
  }
}

/** Closed, and with nothing pending for a service to be asked about, unless ops are. */
export async function outboxWith(dir: TempDir, ops = 3): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  const notes = outbox.stream("notes", ref)
  for (let n = 0; n < ops; n++) notes.record({ method: "put", args: [{ n, secret: ref.secret }], key: `note/${n}` })
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

/** Writes as no Sturdy would. */
export function tamper(file: string, ...statements: string[]): void {
  using db = new ScopedDatabase(file)
  for (const sql of statements) db.run(sql)
}

/** Names, bytes and times of everything in the directory. */
export function picture(dir: TempDir): Record<string, string> {
  const files = readdirSync(dir.path)
    .filter((name) => lstatSync(dir.file(name)).isFile())
    .toSorted()
    // The shared index holds lock marks of whoever reads: not the outbox.
    .filter((name) => !name.endsWith("-shm"))
  return Object.fromEntries(
    files.map((name) => [
      name,
      `${Bun.hash(readFileSync(dir.file(name))).toString(16)} ${statSync(dir.file(name)).mtimeMs}`,
    ]),
  )
}
