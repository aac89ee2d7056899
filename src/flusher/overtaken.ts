/** What still counts of an answer when the stream was changed while its POST was out. Pure. */
import type { StreamPatch } from "../store/settle.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Post } from "../wire/post.ts"
import { askedMs, type Next, retry } from "./classify.ts"
import { afterRevocation } from "./next-secret.ts"
import type { Verdict } from "./verdict.ts"

/** What a person or the `resync` hook may change; the rest of the row is the flusher's own. */
const changeable = ["secret", "service", "service_id", "protocol", "remote_id", "block"] as const

/** What was created at the service is there, whatever else has changed: who does not know it can never remove it. */
const lasting = ["protocol", "remote_id", "remote_secret", "url"] as const

/**
 * If what the answer speaks of was changed, only what it acknowledged counts, and the silence that it asked for. A
 * removal that was recorded meanwhile is stopped by no block.
 */
export function overtaken(sent: StreamRow, now: StreamRow, post: Post, verdict: Verdict): Verdict {
  const { next, acked } = verdict
  if (next.go === "closed") return verdict
  if (changeable.some((field) => now[field] !== sent[field]))
    return { acked, patch: created(sent, now, verdict), next: sameService(sent, now) ? silence(next) : { go: "on" } }
  const removed = next.go === "block" && !post.remove && now.time_removal !== null
  return { ...verdict, next: afterRevocation(now, post, removed ? silence(next) : next) }
}

function sameService(sent: StreamRow, now: StreamRow): boolean {
  return now.service === sent.service
}

function created(sent: StreamRow, now: StreamRow, { patch }: Verdict): StreamPatch {
  if (!sameService(sent, now) || now.service_id !== sent.service_id || patch.remote_id === undefined) return {}
  return Object.fromEntries(lasting.filter((field) => patch[field] !== undefined).map((field) => [field, patch[field]]))
}

/** Of what comes next, that nothing comes before the time that was asked for. */
function silence(next: Next): Next {
  const retry_after_ms = askedMs(next)
  if (retry_after_ms === undefined || next.go === "on" || next.go === "closed") return { go: "on" }
  if (next.go === "block" && !next.fault)
    return retry(next.block.reason, next.block.message, { outcome: "unknown", retry_after_ms })
  const { code, message, outcome } = next.fault!
  return retry(code, message, { outcome, retry_after_ms })
}
