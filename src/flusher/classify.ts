/**
 * What one answer means, by its code alone: the only place that knows the codes of the service and of the network.
 * A call is acked, refused with a code, not sent, or its outcome is unknown; from that follows what comes next.
 */
import * as limit from "../intent/limit.ts"
import type { Outcome } from "../inspect/event.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Answer } from "../wire/post.ts"
import { isBlockReason, type Block, type BlockReason } from "./block.ts"

/** Why an attempt brought no answer that settles everything. */
export interface AttemptFault {
  /** Stored as last_error: a code of the transport, of the service, or `protocol`. */
  code: string
  message: string
  outcome: Outcome
  /** Not before this, whatever the backoff says. */
  retry_after_ms?: number
  /** Send again at once: nothing is wrong, the base had moved or the batch was cut. */
  at_once?: boolean
  /** `size`: what was sent is too large. `content`: it was answered, and neither by an Ack nor by a refusal. */
  blames?: "size" | "content"
}

export type Next =
  | { go: "on" }
  | { go: "retry"; fault: AttemptFault }
  /** `fault`: a probe failed for another reason than the block's. `retry_after_ms`: came with what blocks. */
  | { go: "block"; block: Block; fault?: AttemptFault; retry_after_ms?: number }
  | { go: "closed" }

/** Somebody in front of the service, or the service, wants a key (RFC 9110 §15.5). */
const wantsKey: ReadonlySet<number> = new Set([401, 403, 407])

/** Of the statuses of a client's error, those that speak of this moment, of the size, or of the content. */
const passes: ReadonlySet<number> = new Set([408, 409, 413, 425, 429])

/** Statuses of a server that read the request and failed at it; 502, 503 and 504 are of a gateway before it. */
const blamesContent: ReadonlySet<number> = new Set([400, 422, 500])

/** Refusals that say "not now": nothing is wrong with what was sent. */
const passing: ReadonlySet<string> = new Set(["busy", "stale_epoch", "gap", "share_unknown", "server_reset"])

/** A call that the service refused with a code: a block if a person must act, else another attempt. */
export function refusedCall(
  stream: StreamRow,
  { code, message, retry_after_ms }: { code: string; message: string; retry_after_ms?: number },
): Next {
  const wait_ms = askedWaitMs(retry_after_ms)
  if (isServiceBlock(code)) return blocked(code, message, wait_ms)
  const asked = wait_ms !== undefined && { retry_after_ms: wait_ms }
  if (code === "too_large") return retry(code, message, { blames: "size", ...asked })
  const at_once = code === "stale_epoch" && isFirst(stream)
  return retry(code, message, {
    at_once,
    ...(!passing.has(code) && { blames: "content", outcome: "unknown" }),
    ...asked,
  })
}

/** The server's word: it may be anything, and an endless or unreadable delay would be none at all. */
function askedWaitMs(retry_after_ms: unknown): number | undefined {
  const wait_ms = Math.min(Math.max(0, Number(retry_after_ms)), limit.retry_after_ms_max)
  return Number.isNaN(wait_ms) ? undefined : wait_ms
}

/** A call without an answer of the service's own: it failed without a code, or the network or a gateway spoke. */
export function noAnswer(answer: Exclude<Answer<unknown>, { kind: "value" } | { kind: "refused" }>): Next {
  if (answer.kind === "failed") return retry("service_fault", answer.message, { outcome: "unknown", blames: "content" })
  const { code, delivery, message, details } = answer.fault
  const { status, retry_after_ms } = details
  // A captive portal, or a wrong address: whoever answers is no share service.
  if (code === "redirect" || code === "not_rpc") return blocked("unsupported", message, retry_after_ms)
  if (code !== "http_status" || status === undefined) return retry(code, message, { outcome: delivery })
  if (wantsKey.has(status)) return blocked("scope_denied", `${message}: a key is missing, or not taken`, retry_after_ms)
  if (isOfAddress(status)) return blocked("unsupported", `${message}: no share service answers here`, retry_after_ms)
  const asked = retry_after_ms !== undefined && { retry_after_ms }
  if (status === 413) return retry("http_413", message, { blames: "size", ...asked })
  return retry(`http_${status}`, message, {
    outcome: delivery,
    ...(blamesContent.has(status) && { blames: "content" }),
    ...asked,
  })
}

/** It says something of the address, not of this moment or of what was sent. */
function isOfAddress(status: number): boolean {
  if (passes.has(status) || blamesContent.has(status)) return false
  return (status > 200 && status < 300) || (status >= 400 && status < 500) || status === 501
}

/** What was sent beside it is not to blame. */
export function blameless(next: Next): Next {
  if (next.go !== "retry") return next
  const { blames: _, ...fault } = next.fault
  return { go: "retry", fault }
}

/** Not what the contract says: whatever was meant, the batch may have been decided. */
export function protocolFault(message: string): Next {
  return retry("protocol", message, { outcome: "unknown", blames: "content" })
}

export function retry(code: string, message: string, more: Partial<AttemptFault> = {}): Next {
  return { go: "retry", fault: { code, message, outcome: "refused", ...more } }
}

export function blocked(reason: BlockReason, message: string, retry_after_ms?: number): Next {
  return { go: "block", block: { reason, message }, ...(retry_after_ms !== undefined && { retry_after_ms }) }
}

/** Silence that the answer asked for, ms; undefined if it did not. */
export function askedMs(next: Next): number | undefined {
  if (next.go === "retry") return next.fault.retry_after_ms
  return next.go === "block" ? (next.fault?.retry_after_ms ?? next.retry_after_ms) : undefined
}

/** Once at once, then with backoff; and no two answers of this kind take turns. */
export function isFirst({ last_error }: StreamRow): boolean {
  return last_error !== "gap" && last_error !== "stale_epoch"
}

/** Codes of refusals that are blocks by themselves; the other names of blocks follow from more than a code. */
function isServiceBlock(code: string): code is BlockReason {
  return isBlockReason(code) && serviceBlocks.has(code)
}

const serviceBlocks: ReadonlySet<BlockReason> = new Set([
  "revoked",
  "expired",
  "scope_denied",
  "share_removed",
  "unsupported",
])
