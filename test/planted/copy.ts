/** A copy of what the product and its tests are made of, in a directory of its own, in which a bug can be planted. */
import { copyFileSync, cpSync, linkSync, mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { tempDir, type TempDir } from "../temp-dir.ts"

const root = join(import.meta.dir, "..", "..")

/** What imports from src: links by path would lead back to the original. */
const linkedByFile = ["test", "examples"]
const linked = ["node_modules", "migration", "package.json", "bunfig.toml", "tsconfig.json"]

/** 25 ms; copied whole it would be 200. */
export function copyOfProduct(): TempDir {
  const copy = tempDir()
  // The one folder that is changed: no patch can ever reach the original.
  cpSync(join(root, "src"), copy.file("src"), { recursive: true })
  for (const name of linkedByFile) linkTree(join(root, name), copy.file(name))
  for (const name of linked) symlinkSync(join(root, name), copy.file(name))
  return copy
}

/**
 * Applies `test/planted/<name>.patch` to the copy.
 *
 * @throws Error with what git says if it does not fit: the code that it changes was changed.
 */
export function plant(copy: TempDir, name: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["git", "apply", join(import.meta.dir, `${name}.patch`)], {
    cwd: copy.path,
    // Should the directory for temporary files lie in a repository, git would look for the files from that one's root.
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(copy.path) },
  })
  if (exitCode !== 0) throw new Error(`${name}.patch does not apply: ${stderr.toString().trim()}`)
}

function linkTree(from: string, to: string): void {
  mkdirSync(to)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name === "node_modules") continue
    const [old, name] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) linkTree(old, name)
    else linkFile(old, name)
  }
}

function linkFile(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    // The directory for temporary files is on another disk.
    copyFileSync(from, to)
  }
}
