/** The lease: who flushes, and can that be so? */
import type { Database } from "bun:sqlite"
import { type LeaseSummary, readLease } from "../../inspect/lease.ts"
import * as limit from "../../intent/limit.ts"
import type { LeaseRow } from "../../store/lease.ts"
import { processIdentity } from "../../store/process-identity.ts"
import { holderText, leaseText } from "../text/lease-text.ts"
import { durationText } from "../output/words.ts"
import type { Check, Observation } from "./check.ts"

/** Clocks of two looks, and of rounding. */
const slack_ms = 2_000

export const leaseCheck: Check = {
  name: "lease",
  needs: "database",
  *run({ read }) {
    const now = Date.now()
    const { lease, place } = read((db) => ({ lease: readLease(db, now), place: placeOf(db) }))
    const text = leaseText(lease, now)
    const found = lease ? [...faults(lease, place, now)] : []
    yield* found
    if (found.length > 0) return
    const isLeft = lease?.state === "expired" || lease?.state === "dead"
    yield { level: isLeft ? "note" : "ok", message: text, ...lease }
  },
}

/** Where the holder runs, beside where we do. */
type HolderPlace = "here" | "another host" | "another boot" | "another namespace" | "unknown"

function placeOf(db: Database): HolderPlace {
  const row = db.prepare("select host, boot_id from sturdy_lease where id = 1").get() as LeaseRow | null
  const here = processIdentity()
  if (!row) return "unknown"
  if (row.host !== here.host) return "another host"
  if (row.boot_id === "" || here.boot_id === "") return "unknown"
  if (row.boot_id === here.boot_id) return "here"
  // Boot, then the namespace of pids.
  return row.boot_id.split(" ")[0] === here.boot_id.split(" ")[0] ? "another namespace" : "another boot"
}

function* faults(lease: LeaseSummary, place: HolderPlace, now: number): Generator<Observation> {
  const { state, time_expires } = lease
  const facts = { ...lease, place }
  if (time_expires > now + limit.lease_ms + slack_ms)
    yield {
      level: "warning",
      message: `held by ${holderText(lease)} for another ${durationText(time_expires - now)}, longer than any lease: its clock was ahead, or this one is behind`,
      cure: `Check both clocks. Who waits for it takes it over when it was not renewed for ${limit.lease_ms / 1000} s.`,
      ...facts,
    }
  if (state !== "held") return
  if (place === "another host")
    yield {
      level: "warning",
      message: `held by ${holderText(lease)}, another host than this: SQLite's -wal works within one machine only`,
      cure: "If two machines share this file, give each an outbox of its own; if this machine got a new name, nothing is wrong.",
      ...facts,
    }
  if (place === "another namespace")
    yield {
      level: "note",
      message: `held by ${holderText(lease)} in another container: whether it lives cannot be seen from here`,
      ...facts,
    }
}
