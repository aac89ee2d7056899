/** Reading the bytes of an outbox by other means than SQLite's, while others may write them. */
import type { Clock } from "../intent/seam.ts"
import { exactStatOf, statOf } from "./place.ts"

/** A -journal holds what a transaction that was cut off must put back. */
export const suffixes = ["", "-wal", "-journal"] as const

/** A file system tells times apart only so far, and two writes within one tick look like one. */
const tick_ms = 20
const tries_max = 25

/** What `read` makes of one instant of the file and its -wal; undefined if somebody writes without a pause. */
export function atOneInstant<T>(file: string, clock: Clock, read: () => T): { found: T } | undefined {
  for (let tries = 1; tries <= tries_max; tries++) {
    if (tries > 1) clock.block(tick_ms)
    const before = signatureOf(file)
    if (isRecent(file, clock.now())) continue
    const found = read()
    if (signatureOf(file) === before) return { found }
  }
  return
}

/** Changes with every write to the file or its -wal that is not within one tick of the one before. */
export function signatureOf(file: string): string {
  const stats = suffixes.map((suffix) => exactStatOf(file + suffix))
  return stats.map((stat) => (stat ? [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ") : "none")).join(", ")
}

/** A time that is ahead is a clock's fault, and no write of just now. */
function isRecent(file: string, now: number): boolean {
  return suffixes.some((suffix) => {
    const age = now - (statOf(file + suffix)?.mtimeMs ?? 0)
    return age >= 0 && age < tick_ms
  })
}
