/** What a verdict writes: pure, from the verdict to the settlement. */
import type { Settlement, StreamPatch } from "../store/settle.ts"
import { unblocked, type StreamRow } from "../store/stream.ts"
import { askedMs } from "./classify.ts"
import type { Verdict } from "./verdict.ts"

/** Attempts that failed in a row, this one included: one that settled something begins a new row. */
export function failedAttempts({ acked }: Verdict, stream: StreamRow): number {
  return acked.length > 0 ? 1 : stream.attempts + 1
}

/** Probes that a block has had, this one included; a fresh block has had none. */
export function probesMade({ next }: Verdict, stream: StreamRow): number {
  return next.go === "block" && stream.block === next.block.reason ? stream.attempts + 1 : 0
}

/** Nothing came of it that must be kept: the attempt was given up. A share that was created is kept. */
export function isGivenUp({ next, patch }: Verdict): boolean {
  return next.go === "retry" && next.fault.code === "aborted" && patch.remote_id === undefined
}

/** `due_at`: when the next attempt or probe is due (wall clock, ms); undefined if there is none. */
export function settlementOf(verdict: Verdict, stream: StreamRow, now: number, due_at: number | undefined): Settlement {
  const { acked, reset, twin, lifted, lost, rotated } = verdict
  const asked_ms = askedMs(verdict.next)
  const patch: StreamPatch = {
    attempts: 0,
    next_attempt_at: due_at ?? null,
    retry_after_at: asked_ms === undefined ? null : now + asked_ms,
    last_error: null,
    ...verdict.patch,
    ...whatComesNext(verdict, stream, now),
  }
  // A service that found its history again owes its host nothing.
  if (lifted === "server_reset") patch.resync_owed = null
  if (twin) patch.resync_owed = "twin"
  if (patch.block === "server_reset") patch.resync_owed = "server_reset"
  return {
    acked,
    patch,
    ...(reset && { reset }),
    ...(twin && { twin }),
    ...(lost && { repeatRemovals: true }),
    ...(rotated !== undefined && { rotated: { secret: stream.secret, next_secret: rotated } }),
    posts: 1,
  }
}

function whatComesNext(verdict: Verdict, stream: StreamRow, now: number): StreamPatch {
  const { next } = verdict
  switch (next.go) {
    case "on":
      return {}
    case "retry":
      return { attempts: failedAttempts(verdict, stream), last_error: next.fault.code }
    case "block":
      return {
        attempts: probesMade(verdict, stream),
        last_error: next.fault?.code ?? null,
        block: next.block.reason,
        block_message: next.block.message,
        time_blocked: stream.block === next.block.reason ? stream.time_blocked : now,
      }
    case "closed":
      return { time_closed: stream.time_closed ?? now, repeat_removal: 0, ...unblocked }
  }
}
