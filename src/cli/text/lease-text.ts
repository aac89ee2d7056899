/** The lease in words: who flushes, or who will. */
import type { LeaseSummary } from "../../inspect/lease.ts"
import { printable } from "../output/terminal.ts"
import { ageText, untilText } from "../output/words.ts"

export function leaseText(lease: LeaseSummary | null, now: number): string {
  if (!lease) return "never taken: nothing was flushed yet"
  const { state, term, time_expires } = lease
  const holder = holderText(lease)
  switch (state) {
    case "free":
      return `free, term ${term}; last held by ${holder}`
    case "held":
      return lease.alive
        ? `held by ${holder} (alive), term ${term}`
        : `held by ${holder}, of which nothing is known here, term ${term}; over ${untilText(time_expires, now)} if not renewed`
    case "expired":
      return `over for ${ageText(time_expires, now)}, term ${term}: ${holder} did not give it back; the next that flushes takes it`
    case "dead":
      return `of ${holder}, which has died; term ${term}; the next that flushes takes it at once`
  }
}

export function holderText({ pid, host }: Pick<LeaseSummary, "pid" | "host">): string {
  return `pid ${pid} on ${printable(host)}`
}
