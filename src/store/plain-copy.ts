/**
 * A copy made by plain reading, for who only wants to look and whom SQLite does not let: another process holds the file
 * exclusively, or the index that readers of a -wal share cannot be made beside it. Never of a file that this process has
 * open: closing a descriptor of it would drop SQLite's locks.
 */
import { chmodSync, constants, copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import { isOpenHere } from "./database.ts"
import { atOneInstant, suffixes } from "./instant.ts"
import { followLinks, statOf, systemCode } from "./place.ts"

export interface PlainCopy {
  file: string
  /** With all beside it. Who has it open reads on. */
  remove(): void
}

/**
 * One instant of the file and its -wal, in a folder of its own (0700) among the temporary ones; undefined if this
 * process has it open, or somebody writes without a pause.
 *
 * @throws SturdyError `database_unopenable`, `disk_full`.
 */
export function copyPlainly(path: string, clock: Clock): PlainCopy | undefined {
  const original = followLinks(path)
  if (isOpenHere(original)) return
  const folder = makeFolder(path)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const file = join(folder, "outbox.db")
  try {
    const made = atOneInstant(original, clock, () => {
      for (const suffix of suffixes) copy(original + suffix, file + suffix)
    })
    if (made) return { file, remove }
  } catch (cause) {
    remove()
    throw copyError(path, cause)
  }
  remove()
  return
}

function makeFolder(path: string): string {
  try {
    return mkdtempSync(join(tmpdir(), "sturdy-read-"))
  } catch (cause) {
    throw copyError(path, cause)
  }
}

function copy(from: string, to: string): void {
  rmSync(to, { force: true })
  if (!statOf(from)) return
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE)
  } catch (error) {
    // Gone since we looked: then it is another instant.
    if (systemCode(error) === "ENOENT") return
    throw error
  }
  chmodSync(to, 0o600)
}

function copyError(path: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code === undefined || cause instanceof SturdyError) return cause
  if (code === "EACCES" || code === "EPERM")
    return new SturdyError(
      "database_unopenable",
      `${path} may not be read by this user (${code})`,
      "Run it as the user to whom the file belongs.",
      { cause },
    )
  const isFull = code === "ENOSPC" || code === "EDQUOT"
  return new SturdyError(
    isFull ? "disk_full" : "database_unopenable",
    `${path} could not be copied to ${tmpdir()} to be read there (${code})`,
    isFull ? "Name a larger folder with TMPDIR." : "Check the permissions of the file and of its folder.",
    { cause },
  )
}
