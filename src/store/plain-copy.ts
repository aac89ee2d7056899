/**
 * A copy made by plain reading, for who only wants to look and whom SQLite does not let: another process holds the file
 * exclusively, or the index that readers of a -wal share cannot be made beside it. Never of a file that this process has
 * open: closing a descriptor of it would drop SQLite's locks.
 */
import { chmodSync, constants, copyFileSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import { isOpenHere } from "./database.ts"
import { sqliteCode } from "./fault.ts"
import { Handle } from "./handle.ts"
import { atOneInstant, hasHotJournal, suffixes } from "./instant.ts"
import { statOf, systemCode } from "./place.ts"

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
  const original = realpathSync(path)
  if (isOpenHere(original)) return
  const folder = makeFolder(path)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const file = join(folder, "outbox.db")
  try {
    const copyAll = () => {
      for (const suffix of suffixes) copy(original + suffix, file + suffix)
    }
    const made = atOneInstant(original, clock, copyAll, { walMayGrow: true })
    if (made) {
      rollBack(file)
      return { file, remove }
    }
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

/** As SQLite would in the file itself: what an unfinished transaction has changed is put back. */
function rollBack(copy: string): void {
  if (!hasHotJournal(copy)) return
  const db = new Handle(copy, { create: false, readwrite: true })
  try {
    db.prepare("select count(*) from sqlite_schema").get()
  } catch (error) {
    // Whoever reads it meets that too.
    if (sqliteCode(error) === undefined) throw error
  } finally {
    db.close()
  }
}

function copyError(path: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code === undefined) return cause
  const isFull = code === "ENOSPC" || code === "EDQUOT"
  return new SturdyError(
    isFull ? "disk_full" : "database_unopenable",
    `${path} could not be copied to ${tmpdir()} to be read there (${code})`,
    isFull ? "Name a larger folder with TMPDIR." : "Check the permissions of the file and of its folder.",
    { cause },
  )
}
