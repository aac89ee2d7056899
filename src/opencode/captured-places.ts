/**
 * Late capture: which ops of a source must not be recorded any more, because something newer is captured already.
 *
 * A source (a recording, opencode's history) can hold events that nobody captured, before others that somebody did,
 * e.g. when a catch-up runs beside live events. To record them now would overwrite newer state. The rule: an op is
 * stale if, at a later place of the same source, an op is captured that has the same key, or that ended its key; a
 * removal also if something below it came back later. Only places in one source can be compared: event ids do not
 * ascend, and clocks go backwards.
 *
 * Two passes forward, so that the source is never held in memory: `see` every event, then ask `isStale` while
 * recording. Memory: one place per key of captured ops. Removed sessions need no entry: their stream is closed.
 */
import type { Mapped, MappedOp } from "./map-event.ts"

export class CapturedPlaces {
  /** Session and key, or a prefix of keys with its "/" → last place at which a captured op touched it. */
  readonly #touched = new Map<string, number>()
  /** Session and prefix of keys → last place at which a captured op ended everything below it. */
  readonly #ended = new Map<string, number>()
  readonly #isCaptured: (session_id: string, captureId: string) => boolean

  /** `isCaptured`: as it was before anything of this source is recorded in this run. */
  constructor(isCaptured: (session_id: string, captureId: string) => boolean) {
    this.#isCaptured = isCaptured
  }

  /** First pass. Places rise. */
  see(mapped: Mapped, place: number): void {
    if (mapped.kind !== "ops") return
    for (const op of mapped.ops) {
      if (!this.#isCaptured(mapped.session_id, op.captureId)) continue
      for (const key of [op.key, ...prefixesOf(op.key)]) this.#touched.set(`${mapped.session_id} ${key}`, place)
      if (op.endsKeys) this.#ended.set(`${mapped.session_id} ${op.endsKeys}`, place)
    }
  }

  /** Second pass: true if recording the op would overwrite newer state. Note its captureId as captured all the same. */
  isStale(session_id: string, op: MappedOp, place: number): boolean {
    const isLater = (places: Map<string, number>, key: string) => (places.get(`${session_id} ${key}`) ?? 0) > place
    if (isLater(this.#touched, op.key)) return true
    if (op.endsKeys && isLater(this.#touched, op.endsKeys)) return true
    return prefixesOf(op.key).some((prefix) => isLater(this.#ended, prefix))
  }
}

/** `message/m/part/p` → `message/`, `message/m/`, `message/m/part/`. */
function prefixesOf(key: string): string[] {
  return [...key.matchAll(/\//g)].map((slash) => key.slice(0, slash.index + 1))
}
