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
import { sqliteCode } from "./fault.ts"
import { Handle } from "./handle.ts"
import { holdingSignals } from "./held-signals.ts"
import { atOneInstant, hasHotJournal, suffixes } from "./instant.ts"
import { followLinks, statOf, systemCode } from "./place.ts"

/**
 * What `open` makes of a copy of one instant of the file and its -wal, in a folder of its own (0700) among the temporary
 * ones, which is gone then: what is open stays readable. Undefined if this process has the file open, or somebody writes
 * without a pause. A signal that ends the process waits meanwhile.
 *
 * @throws SturdyError `database_unopenable`, `disk_full`; and as `open`.
 */
export function fromPlainCopy<T>(path: string, clock: Clock, open: (copy: string) => T): { opened: T } | undefined {
  const original = followLinks(path)
  if (isOpenHere(original)) return
  return holdingSignals(clock, () => {
    const folder = makeFolder(path)
    try {
      const file = join(folder, "outbox.db")
      return isCopied(path, original, file, clock) ? { opened: open(file) } : undefined
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

function isCopied(path: string, original: string, file: string, clock: Clock): boolean {
  const copyAll = () => {
    for (const suffix of suffixes) copy(original + suffix, file + suffix)
  }
  try {
    if (!atOneInstant(original, clock, copyAll, { walMayGrow: true })) return false
    rollBack(file)
    return true
  } catch (cause) {
    throw copyError(path, cause)
  }
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
