/** The quota of the outbox file: reached, it takes no more ops (`outbox_full`) rather than filling the disk. */
import type { Statement } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import type { WireOp } from "../intent/op.ts"
import type { Connection } from "./connection.ts"
import { storedBytes } from "./new-op.ts"

/** Bytes recorded between two looks at the page count. */
const recheck_bytes = 1024 * 1024

export class Quota {
  readonly #used: Statement<{ bytes: number }>
  #headroom = 0
  /** Bytes of the unit that was refused last. */
  #refused = 0

  constructor(
    connection: Connection,
    readonly bytes_max: number,
    /** Gives up what is kept but not pending. In the same transaction. */
    readonly makeRoom: () => void,
  ) {
    this.#used = connection.db.prepare(
      `select (page_count - freelist_count) * page_size as bytes
       from pragma_page_count, pragma_freelist_count, pragma_page_size`,
    )
  }

  check(ops: readonly WireOp[]): void {
    const bytes = ops.reduce((sum, op) => sum + storedBytes(op), 0)
    if (bytes > this.bytes_max) throw this.#tooLarge(ops, bytes)
    this.#headroom -= bytes
    if (this.#headroom > 0) return
    const used = this.#usedAfterMakingRoom(bytes)
    if (used + bytes > this.bytes_max) {
      this.#refused = bytes
      throw new SturdyError(
        "outbox_full",
        `the outbox holds ${used} bytes, its quota is ${this.bytes_max}; nothing was written`,
        "Let it drain (`sturdy status` says what stands in the way), or raise outboxBytesMax.",
      )
    }
    this.#headroom = Math.min(recheck_bytes, this.bytes_max - used - bytes)
  }

  /** Would the unit that was refused last be taken now? Inside a transaction. */
  hasRoom(): boolean {
    return this.#usedAfterMakingRoom(this.#refused) + this.#refused <= this.bytes_max
  }

  /** No draining would ever make room for it: nothing to wait for, and no block. */
  #tooLarge(ops: readonly WireOp[], bytes: number): SturdyError {
    const what = ops.length === 1 ? ops[0]!.method : `a unit of ${ops.length} ops`
    return new SturdyError(
      ops.length === 1 ? "op_too_large" : "unit_too_large",
      `${what} takes ${bytes} bytes in the outbox, whose whole quota is ${this.bytes_max}; nothing was written`,
      "Raise outboxBytesMax, or send large content elsewhere and record a reference to it.",
    )
  }

  #usedAfterMakingRoom(bytes: number): number {
    const used = this.#used.get()!.bytes
    if (used + bytes <= this.bytes_max) return used
    this.makeRoom()
    return this.#used.get()!.bytes
  }
}
