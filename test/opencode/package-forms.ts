/** The forms in which the plugin is installed, made from this checkout by the commands of package.json. */
import { chmodSync, mkdirSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { bin, dependencies, scripts } from "../../package.json"

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

/** As npm installs the tarball into the folder, without asking a registry. Returns the paths in the tarball. */
export function installPacked(folder: string): string[] {
  const { tarball, files } = packTo(folder)
  const modules = join(folder, "node_modules")
  const package_folder = join(modules, "sturdy")
  mkdirSync(package_folder, { recursive: true })
  run(["tar", "-xzf", tarball, "-C", package_folder, "--strip-components=1"], folder)
  // What npm would bring, and nothing that is there for development only.
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, "node_modules", name), join(modules, name))
  }
  mkdirSync(join(modules, ".bin"))
  for (const [name, path] of Object.entries(bin)) {
    chmodSync(join(package_folder, path), 0o755)
    symlinkSync(join("..", "sturdy", path), join(modules, ".bin", name))
  }
  return files
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
