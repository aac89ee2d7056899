/** The forms in which the plugin is installed, made from this checkout by the commands of package.json. */
import { join } from "node:path"
import { scripts } from "../../package.json"

const root = join(import.meta.dir, "..", "..")
const out = "dist/sturdy-opencode.js"
const runner = "exec sh script/bun.sh "
const command_ms = 60_000

/** `npm run bundle:opencode`, by the Bun that runs this, to another file. */
export function bundleTo(file: string): void {
  const script = scripts["bundle:opencode"]
  if (!script.startsWith(runner) || !script.endsWith(` ${out}`))
    throw new Error(`bundle:opencode is not ${runner}… ${out}`)
  run([process.execPath, ...script.slice(runner.length, -out.length).trim().split(" "), file], root)
}

/** `npm pack` into the folder. Returns the tarball's path, and the paths in it. */
export function packTo(folder: string): { tarball: string; files: string[] } {
  const text = run(["npm", "pack", "--json", "--ignore-scripts", "--pack-destination", folder], root)
  const [{ filename, files }] = JSON.parse(text) as [{ filename: string; files: { path: string }[] }]
  return { tarball: join(folder, filename), files: files.map(({ path }) => path) }
}

/** What it prints. @throws Error with all that it said, if it fails or takes too long */
export function run(command: string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
    cwd,
    stdout: "pipe",
    stderr: "pipe",
    timeout: command_ms,
  })
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed: ${stdout.toString()}${stderr.toString()}`)
  return stdout.toString()
}
