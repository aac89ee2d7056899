/**
 * What the host's `resync` hook is still to be told, kept on disk until it was: the service lost what this outbox no
 * longer has (`server_reset`), or a copy of this outbox has written too (`twin`).
 */
import type { Statement } from "bun:sqlite"
import type { Connection } from "./connection.ts"
import type { StreamRow, Streams } from "./stream.ts"
import { goOnWithoutLost } from "./unblock.ts"

/** Why the host is asked to record its state again. */
export type ResyncReason = "twin" | "server_reset"

export interface OwedResync {
  stream_id: number
  name: string
  reason: ResyncReason
  /** How often there was one: what comes while the hook runs is owed anew. */
  occasion: number
}

export class OwedResyncs {
  readonly #owed: Statement<StreamRow>
  readonly #forgetItems: Statement
  readonly #forgetCaptures: Statement
  readonly #paid: Statement

  constructor(
    readonly connection: Connection,
    readonly streams: Streams,
  ) {
    const { db } = connection
    this.#owed = db.prepare("select * from sturdy_stream where resync_owed is not null and time_removal is null")
    this.#forgetItems = db.prepare("delete from sturdy_item where stream_id = ?")
    this.#forgetCaptures = db.prepare("delete from sturdy_capture where stream_id = ?")
    this.#paid = db.prepare(
      "update sturdy_stream set resync_owed = null where stream_id = ? and resync_owed = ? and twin_count + reset_count = ?",
    )
  }

  /** Streams whose host is to be told now: of a twin after the stream has drained, so that the host's state comes last. */
  ready(): OwedResync[] {
    return this.connection
      .read("look for resyncs", () => this.#owed.all())
      .filter((row) =>
        row.resync_owed === "server_reset"
          ? row.block === "server_reset"
          : row.block === null && this.streams.pendingCount(row) === 0,
      )
      .map(({ stream_id, name, resync_owed, twin_count, reset_count }) => ({
        stream_id,
        name,
        reason: resync_owed as ResyncReason,
        occasion: twin_count + reset_count,
      }))
  }

  /** Forgets what was known of the stream's items, so that what the host records now is not skipped as unchanged. */
  begin({ stream_id, reason }: OwedResync): void {
    this.connection.assertAlone("begin resync")
    this.connection.transact("begin resync", () => {
      this.#forgetItems.run(stream_id)
      // Of a twin every event did arrive; after a reset none is there.
      if (reason === "server_reset") this.#forgetCaptures.run(stream_id)
    })
  }

  /** The host has recorded its state. True if that lifted the block. */
  end({ stream_id, reason, occasion }: OwedResync): boolean {
    this.connection.assertAlone("end resync")
    return this.connection.transact("end resync", () => {
      this.#paid.run(stream_id, reason, occasion)
      if (reason !== "server_reset" || this.streams.get(stream_id).block !== "server_reset") return false
      goOnWithoutLost(this.connection, stream_id)
      return true
    })
  }
}
