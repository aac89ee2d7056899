/** One power cut after another: build the model, run the child under it, open what is left, count what is missing. */
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { SturdyError } from "../../../src/intent/error.ts"
import { openQuietOutbox } from "../../store/box.ts"
import { tempDir } from "../../temp-dir.ts"
import { seededRandom } from "./seeded-random.ts"
import { ScopedDatabase } from "../../scoped-database.ts"

/** `record` acknowledges when record returns, `other` syncs another file: both must lose, or the model sees nothing. */
export type Mode = "durable" | "record" | "other"

export interface Figures {
  cuts: number
  /** Runs that ended before the cut was due. */
  uncut: number
  acknowledged: number
  lost: number
  runs_with_loss: number
  /** Ops missing below one that is there. */
  gaps: number
  /** What is left cannot be opened, or integrity_check says that it is damaged. */
  damaged: number
  /** First few, for repeating: seed and what was wrong. */
  notes: string[]
}

/** A run has about so many writes and syncs. */
const events_max = 600

export const canBuild = process.platform === "linux" && Bun.which("gcc") !== null

export async function buildModel(folder: string): Promise<string> {
  const library = join(folder, "pl.so")
  const source = join(import.meta.dir, "pl.c")
  const gcc = Bun.spawn(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl", "-lpthread"])
  if ((await gcc.exited) !== 0) throw new Error("gcc could not build pl.c")
  return library
}

/** `untilLoss`: a control has shown what it must as soon as one op is lost. */
export async function runCuts(
  library: string,
  mode: Mode,
  seeds: readonly number[],
  { untilLoss = false } = {},
): Promise<Figures> {
  const figures: Figures = {
    cuts: 0,
    uncut: 0,
    acknowledged: 0,
    lost: 0,
    runs_with_loss: 0,
    gaps: 0,
    damaged: 0,
    notes: [],
  }
  const left = [...seeds]
  const worker = async () => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      if (untilLoss && figures.lost > 0) return
      await runCut(library, mode, seed, figures)
    }
  }
  await Promise.all([worker(), worker()])
  return figures
}

async function runCut(library: string, mode: Mode, seed: number, figures: Figures): Promise<void> {
  await using dir = tempDir()
  const [before, after] = [dir.file("before"), dir.file("after")]
  for (const path of [before, after]) mkdirSync(path)
  const command = [process.execPath, join(import.meta.dir, "child.ts"), join(before, "outbox.db"), String(seed)]
  const child = Bun.spawn([...command, mode === "record" ? "record" : "durable"], {
    env: {
      ...process.env,
      LD_PRELOAD: library,
      PL_DIR: before,
      PL_OUT: after,
      PL_CUT: String(1 + seededRandom(seed * 7 + 3)(events_max)),
      PL_SEED: String(seed),
      ...(mode === "other" && { PL_OTHER: "1" }),
    },
    stdout: "pipe",
    stderr: "inherit",
  })
  const acknowledged = (await new Response(child.stdout).text()).split("\n").slice(0, -1).map(Number)
  const status = await child.exited
  if (status === 0) {
    figures.uncut++
    return
  }
  if (status !== 66) throw new Error(`seed ${seed}: the child ended with ${status}`)
  figures.cuts++
  const note = (what: string) => figures.notes.length < 10 && figures.notes.push(`seed ${seed}: ${what}`)
  // An acknowledgement covers every op recorded before it.
  const covered = Math.max(-1, ...acknowledged) + 1
  figures.acknowledged += covered
  const found = await opsIn(join(after, "outbox.db"))
  if (typeof found === "string") {
    figures.damaged++
    note(`${found}, ${covered} acknowledged`)
  }
  const ops = typeof found === "string" ? new Set<number>() : found
  const lost = Array.from({ length: covered }, (_, op) => op).filter((op) => !ops.has(op))
  if (lost.length) {
    figures.lost += lost.length
    figures.runs_with_loss++
    note(`lost ${lost.length} of ${covered}`)
  }
  const missing = ops.size === 0 ? 0 : Math.max(...ops) + 1 - ops.size
  if (missing) note(`${missing} missing below the last`)
  figures.gaps += missing
}

/** Numbers of the ops that the real outbox finds after the cut; a text if it finds it damaged. */
async function opsIn(file: string): Promise<Set<number> | string> {
  try {
    await using box = openQuietOutbox(file)
    box.notes.status()
  } catch (error) {
    return error instanceof SturdyError ? error.code : String(error)
  }
  if (!existsSync(file)) return "missing"
  using db = new ScopedDatabase(file, { readonly: true })
  const { integrity_check } = db.query("pragma integrity_check").get() as { integrity_check: string }
  if (integrity_check !== "ok") return integrity_check
  const rows = db.query<{ args: string }, []>("select args from sturdy_op").all()
  return new Set(rows.map(({ args }) => (JSON.parse(args) as [[number]])[0][0]))
}
