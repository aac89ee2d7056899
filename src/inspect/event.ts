/**
 * What happens in an outbox, as typed events. The library never logs: a host listens and decides. A listener that
 * throws is told as `fault`: it cannot stop a flush.
 */
import type { Block } from "../flusher/block.ts"

interface Of {
  stream: string
}

export interface OutboxEvents {
  recorded: Of & { op_ids: string[] }
  superseded: Of & { op_id: string; by_op_id: string }
  /** A POST is about to leave. */
  sent: Of & { attempt: number; batches: number; ops: number }
  /** An Ack was settled. */
  acked: Of & { batch_id: string; ops: number; rejected: number }
  rejected: Of & { op_id: string; code: string; message: string }
  /** An attempt failed; the next is due then (wall clock, ms). */
  failed: Of & { code: string; message: string; attempts: number; next_attempt_at: number }
  blocked: Of & Block & { hint: string }
  /** The register's head is unknown here: this outbox, or a copy of it, was restored or copied. */
  twin: Of
  /** The service lost acknowledged data: retained ops were made pending again. */
  server_reset: Of
  drained: Of
  removed: Of
  lease: { held: boolean; term: number }
  /** A bug, a storage fault that stopped the flusher for now, or a listener that threw. */
  fault: { message: string; cause: unknown }
}

export type OutboxEventName = keyof OutboxEvents
type Listener<Name extends OutboxEventName> = (event: OutboxEvents[Name]) => void

export class Events {
  readonly #listeners = new Map<OutboxEventName, Set<Listener<never>>>()

  /** Returns the function that stops listening. */
  on<Name extends OutboxEventName>(name: Name, listener: Listener<Name>): () => void {
    const set = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, set)
    set.add(listener as Listener<never>)
    return () => void set.delete(listener as Listener<never>)
  }

  emit<Name extends OutboxEventName>(name: Name, event: OutboxEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as Listener<Name>)(event)
      } catch (cause) {
        // The listener's own problem: it must neither stop a flush nor end the process. Whoever listens for faults hears it.
        if (name !== "fault") this.emit("fault", { message: `a listener of "${name}" threw: ${cause}`, cause })
      }
    }
  }

  has(name: OutboxEventName): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }
}
