/** The opencode program, installed by npm beside this file when it is first needed; the project itself does without. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"

const modules = join(import.meta.dir, "node_modules")
const install_timeout_ms = 300_000
/** By itself npm asks a registry that is not there for minutes. */
const impatient = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"]

/** Path of the native program, or one line that says why there is none. */
export function installOpencode(): { binary: string } | { missing: string } {
  const found = findBinary()
  if (found) return { binary: found }
  // The package's install script only moves the native program, which is found where npm puts it. --no-save: on another
  // platform npm would write its own native package into the lock.
  const options = ["--no-save", "--ignore-scripts", "--loglevel=error", ...impatient]
  const { exitCode, stderr } = Bun.spawnSync(["npm", "install", ...options], {
    cwd: import.meta.dir,
    timeout: install_timeout_ms,
    stderr: "pipe",
  })
  if (exitCode !== 0)
    return { missing: `npm cannot install it: ${firstLine(stderr.toString()) || "no answer in time"}` }
  const binary = findBinary()
  return binary ? { binary } : { missing: `npm has no opencode for ${process.platform}-${process.arch}` }
}

/** npm may bring several native programs: the plain one needs AVX2, -baseline does not, -musl is for another libc. */
function findBinary(): string | undefined {
  if (!existsSync(modules)) return
  return readdirSync(modules)
    .filter((name) => name.startsWith(`opencode-${process.platform}-${process.arch}`))
    .toSorted((a, b) => a.length - b.length)
    .map((name) => join(modules, name, "bin", "opencode"))
    .find((binary) => existsSync(binary) && runs(binary))
}

function runs(binary: string): boolean {
  try {
    return Bun.spawnSync([binary, "--version"], { timeout: 20_000, stdin: "ignore" }).exitCode === 0
  } catch {
    return false
  }
}

function firstLine(text: string): string {
  return text.split("\n").find((line) => line.trim() !== "") ?? ""
}
