/** What happened to the lease between two looks. Renewals are no news. */
import type { LeaseSummary } from "./lease.ts"

export interface LeaseHolder {
  host: string
  pid: number
  term: number
}

export type LeaseChange =
  /** `after`: who had it when it was looked at last, and how it was then; null: nobody ever had. */
  | ({ type: "lease_taken"; after: (LeaseHolder & { state: LeaseSummary["state"] }) | null } & LeaseHolder)
  | ({ type: "lease_given_back" } & LeaseHolder)
  /** Its holder has died, or did not renew it. */
  | ({ type: "lease_left"; dead: boolean } & LeaseHolder)

export function leaseChanges(before: LeaseSummary | null, after: LeaseSummary | null): LeaseChange[] {
  if (!after) return []
  const holder = holderOf(after)
  const isSame = before?.term === after.term
  const changes: LeaseChange[] = []
  if (!isSame) {
    const last = before && { ...holderOf(before), state: before.state }
    changes.push({ type: "lease_taken", after: last, ...holder })
  }
  if (isSame && after.state === before.state) return changes
  if (after.state === "free") changes.push({ type: "lease_given_back", ...holder })
  const wasLeft = isSame && (before.state === "expired" || before.state === "dead")
  if (after.state === "dead" || (after.state === "expired" && !wasLeft))
    changes.push({ type: "lease_left", dead: after.state === "dead", ...holder })
  return changes
}

function holderOf({ host, pid, term }: LeaseSummary): LeaseHolder {
  return { host, pid, term }
}
