/** Reading the bytes of an outbox by other means than SQLite's, while others may write them. */
import { closeSync, openSync, readSync } from "node:fs"
import type { Clock } from "../intent/seam.ts"
import { exactStatOf, statOf, systemCode } from "./place.ts"

/** A -journal holds what a transaction that was cut off must put back. */
export const suffixes = ["", "-wal", "-journal"] as const

/** A file system tells times apart only so far, and two writes within one tick look like one. */
const tick_ms = 20
const tries_max = 25

export interface InstantOptions {
  /**
   * It may, as long as nothing of it is copied back and it is not begun anew: for who copies it, and reads what is whole in
   * the copy. @default false
   */
  walMayGrow?: boolean
}

/** What `read` makes of one instant of the file and its -wal; undefined if somebody writes without a pause. */
export function atOneInstant<T>(
  file: string,
  clock: Clock,
  read: () => T,
  { walMayGrow = false }: InstantOptions = {},
): { found: T } | undefined {
  const state = walMayGrow ? roundOf : signatureOf
  const written = walMayGrow ? suffixes.filter((suffix) => suffix !== "-wal") : suffixes
  for (let tries = 1; tries <= tries_max; tries++) {
    if (tries > 1) clock.block(tick_ms)
    const before = state(file)
    if (written.some((suffix) => isRecent(file + suffix, clock.now()))) continue
    const found = read()
    if (state(file) === before) return { found }
  }
  return
}

/** Changes with every write to the file or its -wal that is not within one tick of the one before. */
export function signatureOf(file: string): string {
  return suffixes.map((suffix) => timesOf(file + suffix)).join(", ")
}

/** Changes with every write to the file, and whenever its -wal is begun anew: its header then has other salts. */
function roundOf(file: string): string {
  return [timesOf(file), headOf(`${file}-wal`, 32), timesOf(`${file}-journal`)].join(", ")
}

function timesOf(path: string): string {
  const stat = exactStatOf(path)
  return stat ? [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ") : "none"
}

/** https://www.sqlite.org/fileformat2.html#the_rollback_journal */
const journal_magic = "d9d505f920a163d7"

/** A transaction is being written into the file itself, or was cut off: what is there is none of what was committed. */
export function hasHotJournal(file: string): boolean {
  return headOf(`${file}-journal`, 8) === journal_magic
}

/** As hex; not of the file itself, since closing a descriptor of that drops SQLite's locks. */
function headOf(path: string, bytes: number): string {
  const head = Buffer.alloc(bytes)
  try {
    const fd = openSync(path, "r")
    try {
      return head.subarray(0, readSync(fd, head)).toString("hex")
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    // Gone, or not ours to read: then SQLite may not either.
    if (systemCode(error) === undefined) throw error
    return "none"
  }
}

/** A time that is ahead is a clock's fault, and no write of just now. */
function isRecent(path: string, now: number): boolean {
  const age = now - (statOf(path)?.mtimeMs ?? 0)
  return age >= 0 && age < tick_ms
}
