/**
 * Damage that was met while the outbox was in use: a small file beside it, `<file>-suspect`, for the next open. A page
 * that is damaged in the middle of a file is seen by nobody who does not read it, and to read them all at every start
 * costs too much.
 */
import type { Database } from "bun:sqlite"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { isDamage } from "./fault.ts"

interface Suspicion {
  /** Wall clock, ISO. */
  since: string
  /** What was being done; never a payload. */
  doing: string
  /** It is being put aside: this inode, which a process that was killed meanwhile has left in its place. */
  condemned?: number
}

const markerOf = (file: string) => `${file}-suspect`

/** Best effort, since the disk may be the reason: without the marker the next open is as good as before. */
export function suspect(file: string, doing: string, now: number, condemned?: number): void {
  const suspicion: Suspicion = {
    since: new Date(now).toISOString(),
    doing,
    ...(condemned !== undefined && { condemned }),
  }
  try {
    writeFileSync(markerOf(file), `${JSON.stringify(suspicion)}\n`, { mode: 0o600 })
  } catch {
    // See above.
  }
}

/** A marker that cannot be read says at least that there is one. */
export function suspicionOf(file: string): Partial<Suspicion> | undefined {
  try {
    return JSON.parse(readFileSync(markerOf(file), "utf8")) as Suspicion
  } catch (error) {
    return ["ENOENT", "ENOTDIR"].includes((error as { code?: string }).code ?? "") ? undefined : {}
  }
}

export function acquit(file: string): void {
  rmSync(markerOf(file), { force: true })
}

/** Reads every page. What is wrong, or undefined. Damage within a row is not seen: checksums are for that. */
export function findDamage(db: Database): string | undefined {
  try {
    const { quick_check } = db.prepare("pragma quick_check(1)").get() as { quick_check: string }
    return quick_check === "ok" ? undefined : quick_check.split("\n", 1)[0]
  } catch (error) {
    if (isDamage(error)) return error.message
    throw error
  }
}
