/** Who flushes, as the lease's row and this machine's processes say. Read-only. */
import type { Database } from "bun:sqlite"
import type { LeaseRow } from "../store/lease.ts"
import { processIdentity } from "../store/process-identity.ts"

export interface LeaseSummary {
  term: number
  /**
   * `held`: its time is not over, and its holder is not known to be dead. `free`: it was given back. `expired`, `dead`:
   * its holder did not give it back; whoever has something to send takes it over.
   */
  state: "held" | "free" | "expired" | "dead"
  host: string
  pid: number
  /** The holder is a process of this host and boot, and lives; null if that cannot be known from here. */
  alive: boolean | null
  /** ms since the epoch; 0 once it was given back. */
  time_expires: number
}

/** Null: nothing was ever flushed. */
export function readLease(db: Database, now: number): LeaseSummary | null {
  const row = db
    .prepare("select term, owner, host, boot_id, pid, pid_started, time_expires from sturdy_lease where id = 1")
    .get() as LeaseRow | null
  if (!row) return null
  const { term, host, pid, time_expires } = row
  const here = processIdentity()
  const isDead = here.isDead(row)
  const isHere = here.boot_id !== "" && row.host === here.host && row.boot_id === here.boot_id
  const state = time_expires === 0 ? "free" : isDead ? "dead" : time_expires <= now ? "expired" : "held"
  return { term, state, host, pid, alive: isHere ? !isDead : null, time_expires }
}
