/**
 * Shares of child sessions (subagents), as an option: each has a share of its own, made because its parent is shared, and
 * removed with the parent's. A child that somebody shared by itself has nothing to do with that.
 */
import type { Stream } from "../index.ts"
import { type SessionShares, sessionOf } from "./session-shares.ts"

/** Notes, on disk, for which share of its parent a share was made. */
function sourceOf(stream: Stream): string {
  return `opencode/parent/${stream.name}`
}

/** Shares the child at its parent's service; undefined if the parent is not shared. @throws SturdyError as `Outbox.stream` */
export function shareChild(shares: SessionShares, session_id: string, parent_id: string): Stream | undefined {
  const parent = shares.current(parent_id)
  if (!parent) return
  const { stream, isNew } = shares.share(session_id, parent.status().service)
  // Cut short here it is a share of its own: it stays until somebody removes it, and is shown in `sturdy status`.
  if (isNew) shares.outbox.unit(() => {}, { bookmark: { source: sourceOf(stream), place: 1, mark: parent.name } })
  return stream
}

/** The shares that were made for children of this session, of their children first. */
export function childShares(shares: SessionShares, parent_id: string): Stream[] {
  const made = shares.all().flatMap(({ session_id, stream }) => {
    const { mark } = shares.outbox.bookmark(sourceOf(stream)) ?? {}
    return mark === undefined ? [] : [{ session_id, stream, made_for: sessionOf(mark) }]
  })
  const below = (parent: string): Stream[] =>
    made.flatMap(({ session_id, stream, made_for }) => (made_for === parent ? [...below(session_id), stream] : []))
  return below(parent_id)
}

/** Was it made for a share that is removed? Made just then, by another process, it was not there to go with it. */
export function isLeftOver(shares: SessionShares, stream: Stream): boolean {
  const { mark } = shares.outbox.bookmark(sourceOf(stream)) ?? {}
  return mark !== undefined && shares.outbox.findStream(mark)?.isRemoved === true
}

/** Was the child's last share made for this one of its parent's? If it is removed now, somebody wished so. */
export function wasSharedFor(shares: SessionShares, session_id: string, parent: Stream): boolean {
  const latest = shares.latest(session_id)
  return latest !== undefined && shares.outbox.bookmark(sourceOf(latest))?.mark === parent.name
}
