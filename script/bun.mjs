// Runs the Bun that npm installed, so that a machine with only Node can run everything.
// Bun's npm package expects its install script to copy the binary; the binary itself ships in @oven/bun-*,
// so no install script is needed. STURDY_BUN names another binary (CI runs the suite on a second version).
import { spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const oven = join(dirname(dirname(fileURLToPath(import.meta.url))), "node_modules", "@oven")
const candidates = existsSync(oven) ? readdirSync(oven).map((name) => join(oven, name, "bin", "bun")) : []
const bun =
  process.env.STURDY_BUN ?? candidates.flatMap((path) => [path, `${path}.exe`]).find((path) => existsSync(path))
if (!bun) {
  console.error("sturdy: no Bun found in node_modules/@oven. Run `npm install` first (with optional dependencies).")
  process.exit(1)
}

const child = spawn(bun, process.argv.slice(2), { stdio: "inherit" })
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
child.on("exit", (code, signal) => {
  if (!signal) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
