/** A directory of a test's own, gone with it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface TempDir extends AsyncDisposable {
  path: string
  /** A path in it. */
  file(name?: string): string
}

export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), "sturdy-"))
  return {
    path,
    file: (name = "outbox.db") => join(path, name),
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true })
    },
  }
}
