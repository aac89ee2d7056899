/** What streams ask of the outbox that they belong to. */
import { SturdyError } from "./intent/error.ts"
import type { Clock } from "./intent/seam.ts"
import type { OutboxParts } from "./parts.ts"
import { checkUnblocking } from "./ref.ts"
import type { Connection } from "./store/connection.ts"
import { unblock } from "./store/unblock.ts"
import type { StreamOwner } from "./stream.ts"

export interface OwningOutbox {
  readonly outbox: object
  readonly connection: Connection
  readonly clock: Clock
  readonly parts: OutboxParts
  /** Throws once `close` was called. */
  assertOpen(): void
  /** Throws once the file is closed. */
  assertReadable(): void
}

export function streamOwner(owning: OwningOutbox): StreamOwner {
  const { outbox, connection, clock, parts, assertOpen, assertReadable } = owning
  const { streams, units, durability, flusher, rotations, events, ulid, diskBlock } = parts
  return {
    outbox,
    ulid,
    clock,
    diskBlock: () => diskBlock.current,
    streams() {
      assertReadable()
      return streams
    },
    units() {
      assertOpen()
      return units
    },
    remove(stream_id) {
      assertOpen()
      if (units.running)
        throw new SturdyError(
          "invalid_argument",
          `stream ${streams.get(stream_id).name}: remove() inside a unit; nothing was written`,
          "Remove the share after the unit: a unit that throws could not undo it.",
        )
      const { name, block } = streams.get(stream_id)
      streams.recordRemoval(stream_id)
      durability.mark()
      if (block !== null) events.emit("unblocked", { stream: name, reason: block })
      flusher.hurry(stream_id)
    },
    unblock(stream_id, change) {
      assertOpen()
      const { name, service, time_closed, block } = streams.get(stream_id)
      checkUnblocking(name, change)
      // A removal that is repeated, since the service has forgotten it, may stand like any other.
      if (time_closed !== null && block === null)
        throw new SturdyError("stream_closed", `stream ${name}: its share was removed`, "Share again under a new name.")
      const reason = unblock(connection, streams, stream_id, change)
      durability.mark()
      if (reason !== undefined) events.emit("unblocked", { stream: name, reason })
      flusher.hurry(stream_id, change.service !== undefined && change.service !== service)
      return reason !== undefined
    },
    async rotate(stream_id) {
      assertOpen()
      return rotations.rotate(stream_id)
    },
  }
}
