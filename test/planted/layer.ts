/** What is to catch a planted bug: one test, or the simulator; run in a copy of the product, in a process of its own. */

export type Layer =
  /** Path of the test file in `test`, without `.test.ts`; the name of one of its tests, as Bun prints it. */
  | { kind: "test"; file: string; name: string }
  /** As many seeds of `sturdy simulate`: its budget. */
  | { kind: "simulate"; seeds: number }

export interface PlantedBug {
  /** `<patch>.patch` beside this file: a unified diff against src. */
  patch: string
  /** In one sentence. */
  wrong: string
  caughtBy: Layer
}

export interface Outcome {
  /** It ran to its end and has nothing to say against the copy. */
  clean: boolean
  /** It says that something is wrong: in what way. A copy that cannot even be loaded is none of a tester's finds. */
  found: string | undefined
  /** What it printed, for whoever must see why it is neither. */
  output: string
}

export const byTest = (file: string, name: string) => ({ kind: "test", file, name }) as const satisfies Layer
export const bySimulator = (seeds: number) => ({ kind: "simulate", seeds }) as const satisfies Layer

/** ms that one run may take: tests take one or two seconds, on a machine that has something else to do a few more. */
const run_ms_max = 15_000

export function nameOf(layer: Layer): string {
  return layer.kind === "test" ? `${layer.file} "${layer.name}"` : `the simulator within ${layer.seeds} seeds`
}

/** Runs the layer in the copy at `path`. A run that is still not done at its budget is neither clean nor found anything. */
export async function run(layer: Layer, path: string, ms_max = run_ms_max): Promise<Outcome> {
  const child = Bun.spawn([process.execPath, ...commandOf(layer)], {
    cwd: path,
    stdout: "pipe",
    stderr: "pipe",
    timeout: ms_max,
    killSignal: "SIGKILL",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const code = await child.exited
  const output = `${out}${err}`
  return { ...(layer.kind === "test" ? judgeTest(code, output) : judgeSimulation(code, out)), output }
}

function commandOf(layer: Layer): string[] {
  if (layer.kind === "simulate")
    return ["src/cli/main.ts", "simulate", "--seeds", String(layer.seeds), "--failures", "1", "--json"]
  // A test that hangs must be ended before its process is: then it has a name.
  const timeout = String(run_ms_max - 3_000)
  return ["test", "--timeout", timeout, `./test/${layer.file}.test.ts`, "-t", patternOf(layer.name)]
}

/** Bun prints "group > test" and matches "group test". */
function patternOf(name: string): string {
  return `^${name.replaceAll(" > ", " ").replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`
}

function judgeTest(code: number, output: string): Omit<Outcome, "output"> {
  const passed = Number(/^ *(\d+) pass$/m.exec(output)?.[1] ?? 0)
  const failed = [...output.matchAll(/^\(fail\) (.*?)(?: \[[\d.]+m?s\])?$/gm)].map(([, name]) => name!)
  // An import that fails, or a syntax error, comes before every test.
  return { clean: code === 0 && passed > 0, found: failed.length > 0 ? failed.join(", ") : undefined }
}

function judgeSimulation(code: number, stdout: string): Omit<Outcome, "output"> {
  const last = stdout.trimEnd().split("\n").at(-1) ?? ""
  const { seeds, violations } = parsed(last)
  if (seeds === undefined || violations === undefined) return { clean: false, found: undefined }
  return {
    clean: code === 0 && violations === 0,
    found: code === 1 && violations > 0 ? `${violations} violations in ${seeds} seeds` : undefined,
  }
}

function parsed(line: string): { seeds?: number; violations?: number } {
  try {
    return JSON.parse(line) as { seeds?: number; violations?: number }
  } catch {
    return {}
  }
}
