/**
 * A source that is not waited for without end. Catch-ups of all sessions take turns: one answer that never comes must not
 * keep the others waiting for ever, nor a session that is shared just now without what is there.
 */
import type { Clock } from "../intent/seam.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"

/** Of one question; sessions of thousands of messages take opencode a second or two, ms. */
const answer_ms = 30_000

/** The same source, whose answers reject with `SourceSilent` when they are late. */
export function limited(source: SessionSource, clock: Clock): SessionSource {
  const inTime = async <T>(answer: Promise<T>): Promise<T> => {
    const { promise, reject } = Promise.withResolvers<never>()
    const late = new SourceSilent(`no answer within ${answer_ms / 1_000} s`)
    const timer = clock.timer(answer_ms, () => reject(late), false)
    try {
      return await Promise.race([answer, promise])
    } finally {
      timer.cancel()
    }
  }
  return {
    isAuthority: source.isAuthority,
    info: (session_id) => inTime(source.info(session_id)),
    messages: (session_id) => inTime(source.messages(session_id)),
    diff: (session_id) => inTime(source.diff(session_id)),
    children: (session_id) => inTime(source.children(session_id)),
    model: (name) => inTime(source.model(name)),
  }
}
