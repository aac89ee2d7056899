/**
 * A damaged outbox is put aside, whole and for ever, so that a fresh one can begin in its place.
 *
 * Other processes. While we look and rename we hold a lock on the damaged file itself (alone.ts). Who waits for us holds the damaged file, and would take a -journal or
 * -wal at the path for that file's own: so the lock is kept until the fresh outbox is made. Then they find that their
 * file has moved, and open again (database.ts).
 *
 * Order. The main file goes last: until then the path leads to the locked file, so nobody can begin a fresh outbox
 * beside the old -wal. A kill in between leaves a marker that condemns the inode (suspect.ts). The lock is given up
 * last: at its last close SQLite copies a -wal back, but not into a file that has moved.
 */
import {
  accessSync,
  closeSync,
  constants as access,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs"
import { dirname } from "node:path"
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import { openAlone } from "./alone.ts"
import type { Handle } from "./handle.ts"
import { application_id, bytesOf, isEmpty, nameAside, sqlite_magic, statOf, syncFolders } from "./place.ts"
import { acquit, findDamage, suspect, suspicionOf } from "./suspect.ts"
import { walFault } from "./wal.ts"

export interface Quarantined {
  /** Where the damaged file is now, its -wal beside it; or only the damaged -wal of the outbox that was opened. */
  file: string
  message: string
}

interface Aside {
  quarantined: Quarantined
  /** The lock. Close it when the fresh outbox is there. */
  lock: Handle
}

/**
 * Renames the file with its -wal and -journal to `<file>.damaged-<UTC>`, if it is certain that an outbox lived in it and
 * nobody else has it open. Undefined if `ino` is not there any more, or nothing is wrong with it: open it again.
 *
 * @throws SturdyError `damage`, if it has to stay where it is; `storage_fault`.
 */
export function quarantine(file: string, ino: number, damage: SturdyError, seams: Seams): Aside | undefined {
  const lock = lockDamaged(file, ino, damage, seams)
  if (!lock) return
  try {
    const to = putAside(file, ino, seams)
    const message = `${damage.message}; it was put aside as ${to}, and this outbox began empty`
    return { quarantined: { file: to, message }, lock }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** The lock on the damaged file; undefined if there is none any more. */
function lockDamaged(file: string, ino: number, damage: SturdyError, { clock }: Seams): Handle | undefined {
  const isThere = () => statOf(file)?.ino === ino
  let lock: Handle | undefined
  try {
    // Begun by another process: its -wal may be put aside already, and with it what tells. Asked last, as it is said first.
    const isOurs = isOutbox(file) || suspicionOf(file)?.condemned === ino
    if (!isOurs || !mayRename(file)) throw damage
    const wasEmpty = isEmpty(file)
    if (wasEmpty) {
      // No longer empty it may be opened: should it stay, every page is looked at first.
      suspect(file, "found empty", clock.now())
      fill(file, ino)
    }
    lock = lockAlone(file, damage)
    const condemned = suspicionOf(file)?.condemned === ino
    if (isThere() && (wasEmpty || condemned || findDamage(lock) || walFault(file)?.of === "header")) return lock
  } catch (error) {
    lock?.close()
    // Whatever went wrong: another process was faster, and it is another file.
    if (isThere()) throw error
    return
  }
  lock.close()
  return
}

/**
 * SQLite deletes a -wal beside an empty file, also when a person looks into it later. Two bytes are a file for it. By
 * descriptor: the path may lead to a fresh outbox by now.
 */
function fill(file: string, ino: number): void {
  const fd = openSync(file, "r+")
  try {
    if (fstatSync(fd).ino === ino) ftruncateSync(fd, 2)
  } finally {
    closeSync(fd)
  }
}

/** By what is left of its bytes. Not of a file that this process has open. */
export function isOutbox(file: string): boolean {
  const main = headOf(file)
  const wal = headOf(`${file}-wal`)
  if (main.length <= 1) return wal.length > 0
  const isWal = wal.length >= 4 && (wal.readUInt32BE(0) === 0x377f0682 || wal.readUInt32BE(0) === 0x377f0683)
  if (main.subarray(0, 16).toString("latin1") !== sqlite_magic) return isWal
  // Of a header that was cut nothing else is left to tell.
  if (main.length < 100) return true
  return main.readUInt32BE(68) === application_id || main.includes("sturdy_") || wal.includes("sturdy_")
}

/** The schema lies within the first pages. No connection of this process has the file open: closing drops no locks. */
function headOf(path: string): Buffer {
  if (bytesOf(path) === 0) return Buffer.alloc(0)
  const head = Buffer.alloc(64 * 1024)
  const fd = openSync(path, "r")
  try {
    return head.subarray(0, readSync(fd, head))
  } finally {
    closeSync(fd)
  }
}

/** Asked before anything is locked: a lock that was taken in vain copies the -wal back when it is given up. */
function mayRename(file: string): boolean {
  try {
    accessSync(file, access.R_OK | access.W_OK)
    accessSync(dirname(file), access.W_OK | access.X_OK)
    return true
  } catch {
    return false
  }
}

function lockAlone(file: string, damage: SturdyError): Handle {
  let lock: Handle | undefined
  try {
    lock = openAlone(file, limit.record_busy_ms_max)
  } catch {
    throw damage
  }
  if (lock) return lock
  throw new SturdyError(
    "database_corrupt",
    `${damage.message}; another process has it open, so it stays where it is`,
    "End the other process, then open the outbox again.",
    { cause: damage },
  )
}

function putAside(file: string, ino: number, seams: Seams): string {
  const to = nameAside(file, seams.clock.now(), ["", "-wal", "-journal"])
  suspect(file, "put aside", seams.clock.now(), ino)
  for (const suffix of ["-wal", "-journal"]) if (bytesOf(file + suffix) > 0) renameSync(file + suffix, to + suffix)
  for (const suffix of ["-wal", "-journal", "-shm"]) rmSync(file + suffix, { force: true })
  seams.crashPoint("quarantine:before-main-file")
  renameSync(file, to)
  seams.crashPoint("quarantine:after-main-file")
  // Else the damaged file might be back after a power loss, in place of the fresh one.
  syncFolders(dirname(file), dirname(file))
  acquit(file)
  return to
}
