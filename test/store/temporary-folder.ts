import { readdirSync } from "node:fs"
import { afterEach, beforeEach } from "bun:test"
import { tempDir, type TempDir } from "../temp-dir.ts"

/** Where this process makes its temporary files, for each test its own: what is left behind shows. */
export function ownTemporaryFolder() {
  let folder: TempDir
  let before: string | undefined
  beforeEach(() => {
    folder = tempDir()
    before = process.env.TMPDIR
    process.env.TMPDIR = folder.path
  })
  afterEach(async () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    await folder[Symbol.asyncDispose]()
  })
  return {
    file: (name: string) => folder.file(name),
    /** Copies that readers have made and not removed. */
    copies: () => readdirSync(folder.path).filter((name) => name.startsWith("sturdy-read-")),
  }
}
