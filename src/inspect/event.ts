/**
 * What happens in an outbox, as typed events. The library never logs: a host listens and decides. A listener that
 * throws, or whose promise is rejected, is told as `fault`: it cannot stop a flush.
 */
import type { Block } from "../flusher/block.ts"
import { SturdyError } from "../intent/error.ts"
import { kindOf } from "../intent/shape.ts"
import { isThenable } from "../intent/thenable.ts"
import type { ResyncReason } from "../store/resync.ts"

interface Of {
  stream: string
}

export interface OutboxEvents {
  recorded: Of & { op_ids: string[] }
  superseded: Of & { op_id: string; by_op_id: string }
  /** A batch was closed and frozen: it is sent as it is from now on. */
  sealed: Of & { batch_id: string; ops: number; bytes: number }
  /** A POST is about to leave. */
  sent: Of & { attempt: number; batches: number; ops: number }
  /** An Ack was settled. */
  acked: Of & { batch_id: string; ops: number; rejected: number }
  /** The service rejected the op for good: it is a dead letter now. */
  rejected: Of & { op_id: string; code: string; message: string }
  /** A dead letter was recorded again, as a new op. */
  retried: Of & { op_id: string; as_op_id: string }
  /** A dead letter was given up. */
  discarded: Of & { op_id: string }
  /** An attempt failed; the next is due then (wall clock, ms). */
  failed: Of & { code: string; message: string; outcome: Outcome; attempts: number; next_attempt_at: number }
  /** Without a stream: the outbox itself, by its disk, its file or its quota. */
  blocked: { stream: string | undefined } & Block & { hint: string }
  unblocked: { stream: string | undefined; reason: string }
  /** The register's head is unknown here: this outbox, or a copy of it, was restored or copied. */
  twin: Of
  /** The service lost acknowledged data: retained ops were made pending again. */
  server_reset: Of
  /** The host's `resync` hook was told, and has answered. */
  resynced: Of & { reason: ResyncReason }
  drained: Of
  removed: Of
  lease: { held: boolean; term: number }
  /** The damaged outbox was renamed to `file`, and this one began empty; or its -wal was, and this one has what was whole. */
  quarantined: { file: string; message: string }
  /** A bug, a storage fault that stopped the flusher for now, or code of the host's that threw. */
  fault: { message: string; cause: unknown }
}

/**
 * What is known of an attempt that failed. `refused`: the service said no, and nothing changed there. `not_sent`: it
 * cannot have seen the request. `unknown`: it may have decided everything in it.
 */
export type Outcome = "refused" | "not_sent" | "unknown"

/** Any event, with its name: for logs and metrics that take them all. */
export type OutboxEvent = { [Name in OutboxEventName]: { name: Name } & OutboxEvents[Name] }[OutboxEventName]

export type OutboxEventName = keyof OutboxEvents

const names: Record<OutboxEventName, true> = {
  recorded: true,
  superseded: true,
  sealed: true,
  sent: true,
  acked: true,
  rejected: true,
  retried: true,
  discarded: true,
  failed: true,
  blocked: true,
  unblocked: true,
  twin: true,
  server_reset: true,
  resynced: true,
  drained: true,
  removed: true,
  lease: true,
  quarantined: true,
  fault: true,
}

type Listener<Name extends OutboxEventName> = (event: OutboxEvents[Name]) => void

export class Events {
  readonly #listeners = new Map<OutboxEventName, Set<Listener<never>>>()
  readonly #observers = new Set<(event: OutboxEvent) => void>()

  /** Returns the function that stops listening. @throws SturdyError `invalid_argument` */
  on<Name extends OutboxEventName>(name: Name, listener: Listener<Name>): () => void {
    if (!Object.hasOwn(names, name)) throw wrong("on: there is no event of this name")
    checkListener("on", listener)
    const set = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, set)
    set.add(listener as Listener<never>)
    return () => void set.delete(listener as Listener<never>)
  }

  /** Hears every event. Returns the function that stops. @throws SturdyError `invalid_argument` */
  onAny(observer: (event: OutboxEvent) => void): () => void {
    checkListener("onAny", observer)
    this.#observers.add(observer)
    return () => void this.#observers.delete(observer)
  }

  emit<Name extends OutboxEventName>(name: Name, event: OutboxEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) this.#tell(name, () => (listener as Listener<Name>)(event))
    for (const observer of this.#observers) this.#tell(name, () => observer({ name, ...event } as OutboxEvent))
  }

  has(name: OutboxEventName): boolean {
    return this.#observers.size > 0 || (this.#listeners.get(name)?.size ?? 0) > 0
  }

  /** What fails in there is the host's own problem: it must neither stop a flush nor end the process. */
  #tell(name: OutboxEventName, tell: () => unknown): void {
    try {
      const told = tell()
      // A listener that is an async function: nobody else hears of it.
      if (isThenable(told)) Promise.resolve(told as PromiseLike<unknown>).catch((cause) => this.#failed(name, cause))
    } catch (cause) {
      this.#failed(name, cause)
    }
  }

  #failed(name: OutboxEventName, cause: unknown): void {
    if (name !== "fault") this.emit("fault", { message: `a listener of "${name}" threw: ${textOf(cause)}`, cause })
  }
}

/** Anything can be thrown, also what has no text. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return kindOf(thrown)
  }
}

function checkListener(method: string, listener: unknown): void {
  if (typeof listener !== "function") throw wrong(`${method}: the listener must be a function, got ${kindOf(listener)}`)
}

function wrong(message: string): SturdyError {
  return new SturdyError("invalid_argument", message, `Events are ${Object.keys(names).join(", ")}.`)
}
