/** `Retry-After` as a delay: seconds or an HTTP date (RFC 9110 §10.2.3). Undefined if absent or unreadable. */
import * as limit from "../intent/limit.ts"

export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null) return
  const text = header.trim()
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  if (Number.isNaN(wait)) return
  return Math.min(Math.max(0, wait), limit.retry_after_ms_max)
}
