/**
 * `stream.rotate()`: the new secret is stored, durable, sent, and takes the place of the old one when it has opened the
 * share. Wherever that ends, repeating it goes on, and so does the stream (next-secret.ts).
 */
import { SturdyError } from "../intent/error.ts"
import type { Seams } from "../intent/seam.ts"
import { randomId } from "../intent/ulid.ts"
import type { Events } from "../inspect/event.ts"
import type { Durability } from "../store/durability.ts"
import type { Rotator, StoredRotation } from "../store/rotation.ts"
import { askedUntil, type StreamRow } from "../store/stream.ts"
import type { Protocol } from "../wire/protocol.ts"
import { type RotatingProtocol, rotatingBy, type RotationAnswer } from "../wire/rotation.ts"
import type { Transport } from "../wire/transport.ts"
import { headersFrom } from "./headers.ts"
import { refused, rotationOutcome, unfinished } from "./rotation-outcome.ts"

export interface RotationParts {
  rotator: Rotator
  durability: Durability
  transport: Transport
  protocols: readonly Protocol[]
  headers: (attempt: { stream: string; service: string }) => unknown
  seams: Seams
  events: Events
  /** The stream may go on. */
  hurry: (stream_id: number) => void
}

/** Holds the process while one is under way: 24 days, beyond which setTimeout fires at once. */
const hold_ms = 2 ** 31 - 1

export class Rotations {
  readonly #abort = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(readonly parts: RotationParts) {}

  rotate(stream_id: number): Promise<{ epoch: number }> {
    const run = this.#rotate(stream_id).finally(() => this.#running.delete(run))
    this.#running.add(run)
    return run
  }

  /** A POST on its way is given up: what is stored goes on with it. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("closed"))
    await Promise.allSettled(this.#running)
  }

  async #rotate(stream_id: number): Promise<{ epoch: number }> {
    const { rotator, durability, seams, events, hurry } = this.parts
    const hold = seams.clock.timer(hold_ms, () => {}, true)
    try {
      const protocols: RotatingProtocol[] = []
      const drawn = randomId(seams.random, 256)
      const stored = rotator.begin(stream_id, drawn, (stream) => void protocols.push(this.#protocolFor(stream)))
      durability.mark()
      await this.#durable()
      const { stream } = stored
      const outcome = rotationOutcome(stream, await this.#send(protocols[0]!, stored))
      if (outcome.isCertain && stored.isNew) rotator.forget(stored)
      if (outcome.epoch === undefined) throw outcome.error
      const lifted = rotator.end(stored, outcome.epoch)
      durability.mark()
      if (lifted !== undefined) events.emit("unblocked", { stream: stream.name, reason: lifted })
      hurry(stream_id)
      return { epoch: outcome.epoch }
    } finally {
      hold.cancel()
    }
  }

  /** Throws why the secret cannot be changed now, or from here. */
  #protocolFor(stream: StreamRow): RotatingProtocol {
    const { name, time_removal, time_closed, remote_id, session_id, granted, service_id, protocol } = stream
    if (time_removal !== null || time_closed !== null)
      throw new SturdyError("stream_closed", `stream ${name}: its share was removed`, "Share again under a new name.")
    if (remote_id !== null)
      throw refused(
        stream,
        "id and secret of its share were made by the service, and it has no call that changes them",
        "Remove the share and share again: that makes another secret.",
      )
    const by = rotatingBy(this.parts.protocols, protocol)
    if (!by)
      throw refused(
        stream,
        `the protocol ${protocol ?? "of this outbox"} has no call that changes a secret`,
        "Rotate it by an outbox whose stream at this service speaks rpc (Cap'n Web).",
      )
    // Whoever answers would be taken for the service, and a secret that it has for the only one.
    if (service_id === null || (session_id !== null && granted === 0))
      throw refused(
        stream,
        "the service has not said yet that it has the share",
        "Record something and let it be sent first: that shows who the service is.",
      )
    const now = this.parts.seams.clock.now()
    const asked_until = askedUntil(stream)
    if (asked_until !== undefined && asked_until > now)
      throw unfinished(stream, `the service asked for silence, for ${Math.ceil((asked_until - now) / 1000)} s more`)
    return by
  }

  /** A host's database that its pragmas leave to chance keeps this as safely as all else that is in it. */
  async #durable(): Promise<void> {
    try {
      await this.parts.durability.durable()
    } catch (error) {
      if (!(error instanceof SturdyError) || error.code !== "database_unsafe") throw error
    }
  }

  async #send(by: RotatingProtocol, { stream, next_secret }: StoredRotation): Promise<RotationAnswer> {
    const { transport, seams } = this.parts
    const { service, share_id, secret, writer_id } = stream
    const headers = this.#headers(stream)
    seams.crashPoint("rotate:before-post")
    try {
      const redeem = { share_id, secret, writer_id }
      const context = { transport, clock: seams.clock, signal: this.#abort.signal }
      return await by.rotate({ service, headers, redeem, next_secret }, context)
    } catch (cause) {
      // A host's own protocol: what it throws is an answer that did not come.
      throw unfinished(stream, `the protocol ${by.name} failed`, { cause, indeterminate: true })
    } finally {
      seams.crashPoint("rotate:after-post")
    }
  }

  #headers(stream: StreamRow): Record<string, string> {
    try {
      return headersFrom(this.parts.headers({ stream: stream.name, service: stream.service }))
    } catch (cause) {
      throw unfinished(stream, cause instanceof Error ? cause.message : "headers() threw", { cause })
    }
  }
}
