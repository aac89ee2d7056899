/**
 * Sessions of opencode as shares: one stream per share, named by its session; ops by map-event.ts. A session that is
 * shared again after its share was removed gets a new stream, `<session>/2`: a removed share never comes back.
 * What a host's events become here is written before the call returns.
 */
import { SturdyError } from "../intent/error.ts"
import type { Bookmark, Outbox, RecordInput, Stream } from "../index.ts"

export class SessionShares {
  /** How often a session was shared, as far as it is known: where the search begins. */
  readonly #generations = new Map<string, number>()

  constructor(readonly outbox: Outbox) {}

  /** The session's latest stream, whether its share is removed or not. Looked up each time: other processes share too. */
  latest(session_id: string): Stream | undefined {
    let generation = this.#generations.get(session_id) ?? 1
    let found = this.outbox.findStream(nameOf(session_id, generation))
    if (!found) return
    for (
      let next: Stream | undefined;
      (next = this.outbox.findStream(nameOf(session_id, generation + 1)));
      generation++
    )
      found = next
    this.#generations.set(session_id, generation)
    return found
  }

  /** The stream of the session's share, if it is shared. */
  current(session_id: string): Stream | undefined {
    const latest = this.latest(session_id)
    return latest && !latest.isRemoved ? latest : undefined
  }

  /** Every session that is shared, with its stream. */
  all(): { session_id: string; stream: Stream }[] {
    const sessions = new Set(this.outbox.streams().map(({ name }) => sessionOf(name)))
    return [...sessions].flatMap((session_id) => {
      const stream = this.current(session_id)
      return stream ? [{ session_id, stream }] : []
    })
  }

  /**
   * The stream of the session: the current one, else of a new share at this endpoint, with an id and secret of its own.
   * `protocol`: in which the service is spoken to as long as nothing was heard of it.
   *
   * @throws SturdyError as `Outbox.stream`.
   */
  share(session_id: string, service: string, protocol?: string): { stream: Stream; isNew: boolean } {
    const options = { create: { session_id }, ...(protocol !== undefined && { protocol }) }
    return this.open(session_id, (name) => this.outbox.stream(name, this.outbox.newRef(service), options))
  }

  /** The current stream of the session, or the one that `create` makes of the name that it is given. */
  open(session_id: string, create: (name: string) => Stream): { stream: Stream; isNew: boolean } {
    const latest = this.latest(session_id)
    if (latest && !latest.isRemoved) return { stream: latest, isNew: false }
    const generation = latest ? this.#generations.get(session_id)! + 1 : 1
    try {
      return { stream: create(nameOf(session_id, generation)), isNew: true }
    } catch (error) {
      // Another process shared the session between our look and our write: its share is the one.
      const raced = error instanceof SturdyError && error.code === "stream_conflict" && this.current(session_id)
      if (raced) return { stream: raced, isNew: false }
      throw error
    }
  }

  /**
   * Records ops of the session as one unit, and with it the bookmark. Recording the same event again records nothing.
   *
   * @throws SturdyError as `Stream.record`.
   */
  record(stream: Stream, ops: readonly RecordInput[], bookmark?: Bookmark): void {
    this.outbox.unit(() => ops.forEach((op) => stream.record(op)), { ...(bookmark && { bookmark }) })
  }
}

/** Ids of opencode hold no "/". */
function nameOf(session_id: string, generation: number): string {
  return generation === 1 ? session_id : `${session_id}/${generation}`
}

/** The session whose share the stream of this name is. */
export function sessionOf(name: string): string {
  return name.split("/")[0]!
}
