/**
 * The secret that a rotation has stored and not yet taken over, because it is under way or its process ended: if the
 * service revokes the old one, the new one is tried before the stream stands. Pure.
 */
import type { StreamRow } from "../store/stream.ts"
import type { Post } from "../wire/post.ts"
import { askedMs, type Next, retry } from "./classify.ts"

/** As `last_error`: the next attempt is with the secret that the rotation has stored. */
const replaced = "secret_replaced"

/** Refusals of a secret. */
const refusals: ReadonlySet<string> = new Set(["revoked", "expired", "share_unknown"])

/** What the next POST redeems. */
export function secretOf({ secret, next_secret, last_error }: StreamRow): string {
  return next_secret !== null && last_error === replaced ? next_secret : secret
}

/** It was sent with the secret that the rotation has stored. */
export function isByNext(stream: StreamRow, { redeem }: Post): boolean {
  return redeem.secret !== stream.secret
}

/** The secret of a stream was revoked: by a rotation of ours, if there is one; then what comes next is another attempt. */
export function afterRevocation(now: StreamRow, post: Post, next: Next): Next {
  if (next.go !== "block" || next.block.reason !== "revoked") return next
  if (now.next_secret === null || post.redeem.secret === now.next_secret) return next
  const retry_after_ms = askedMs(next)
  return retry(replaced, "the secret was revoked; the one that a rotation has stored is tried", {
    at_once: true,
    ...(retry_after_ms !== undefined && { retry_after_ms }),
  })
}

/** Both secrets are refused: why the stream stands. Undefined if the answer does not say so. */
export function bothRefused(stream: StreamRow, post: Post, { code, message }: { code: string; message: string }) {
  if (!isByNext(stream, post) || !refusals.has(code)) return
  return `it was revoked, and the one that a rotation has stored opens nothing: ${message}`
}
