/** What happened, in words. */
import type { Change } from "../../inspect/changes.ts"
import { blockText } from "../text/block-cure.ts"
import { holderText } from "../text/lease-text.ts"
import { printable, type Tone } from "../output/terminal.ts"
import { count, untilText } from "../output/words.ts"

/** With the name of the stream, if it is about one. */
export function lineOf(change: Change, time: number): string {
  const text = changeText(change, time)
  return "stream" in change ? `${printable(change.stream)}  ${text}` : text
}

/** Without the stream's name. `time` is that of the look that showed it. */
function changeText(change: Change, time: number): string {
  switch (change.type) {
    case "opened":
      return `new stream, to ${printable(change.service)}`
    case "recorded":
      return `recorded ${count(change.ops, "op")}`
    case "superseded":
      return `${count(change.ops, "op")} replaced by newer ones`
    case "settled":
      return `settled ${count(change.ops, "op")}${batchesText(change.batches)}`
    case "drained":
      return "drained: nothing is pending"
    case "failed": {
      const what = change.probe ? "probe" : "attempt"
      const next = change.next_attempt_at === null ? "" : `; next ${untilText(change.next_attempt_at, time)}`
      return `${what} ${change.attempts} failed${change.error ? `: ${printable(change.error)}` : ""}${next}`
    }
    case "rejected":
      return `${count(change.ops, "new dead letter")}: rejected by the service for good`
    case "decided":
      return `${count(change.ops, "dead letter")} retried or discarded`
    case "blocked":
      return `blocked: ${blockText(change.reason, change.message)}`
    case "unblocked":
      return `unblocked, was ${printable(change.reason)}`
    case "twin":
      return "twin: this outbox, or a copy of it, was restored or copied; handled"
    case "server_reset":
      return `server reset: the service lost what it had acknowledged; ${count(change.ops, "op")} pending again`
    case "removing":
      return "its share is being removed"
    case "removed":
      return `share removed${change.discarded > 0 ? `, ${count(change.discarded, "pending op")} discarded` : ""}`
    case "lease_taken":
      return `lease taken by ${holderText(change)}, term ${change.term}${afterText(change)}`
    case "lease_given_back":
      return `lease given back by ${holderText(change)}, term ${change.term}`
    case "lease_left":
      return `lease of ${holderText(change)}: ${change.dead ? "its holder has died" : "over, and not given back"}`
    case "replaced":
      return "another outbox lies in its place now"
  }
}

export function batchesText(batches: number): string {
  return batches > 0 ? ` in ${count(batches, "batch", "batches")}` : ""
}

function afterText({ after, ...holder }: Change & { type: "lease_taken" }): string {
  if (!after || isSameHolder(after, holder)) return ""
  if (after.state === "dead") return `, over from ${holderText(after)}, which has died`
  if (after.state === "expired") return `, over from ${holderText(after)}, which did not give it back`
  return `, after ${holderText(after)}`
}

function isSameHolder(a: { pid: number; host: string }, b: { pid: number; host: string }): boolean {
  return a.pid === b.pid && a.host === b.host
}

/** What a host that is well does again and again. */
export function isTraffic(change: Change): boolean {
  switch (change.type) {
    case "recorded":
    case "superseded":
    case "settled":
    case "drained":
    case "lease_given_back":
      return true
    case "lease_taken":
      return change.after !== null && isSameHolder(change.after, change)
    default:
      return false
  }
}

export function changeTone({ type }: Change): Tone | undefined {
  if (type === "rejected" || type === "blocked" || type === "server_reset" || type === "replaced") return "bad"
  if (type === "failed" || type === "twin" || type === "lease_left") return "warning"
  return type === "unblocked" || type === "decided" ? "good" : undefined
}
