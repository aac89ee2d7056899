/**
 * The blocks of the outbox itself: its disk, its file, its quota. They hold for every stream, are known to this process
 * only, since a full disk takes no note of them, and end with the next write that goes through.
 */
import type { SturdyError } from "../intent/error.ts"
import type { Events } from "../inspect/event.ts"
import { hintOf, isBlockReason, probeOf, type Block } from "./block.ts"

export class DiskBlock {
  #block: Block | undefined

  constructor(
    readonly events: Events,
    /** Is the file no longer where it was opened? Free of effects, some microseconds. */
    readonly fileMoved: () => boolean,
    readonly file: string | undefined,
  ) {}

  /** What stops recording, and for all but a full outbox sending too. */
  get current(): Block | undefined {
    return this.#block
  }

  /** What stops sending. */
  get stopsSending(): Block | undefined {
    return this.#block?.reason === "outbox_full" ? undefined : this.#block
  }

  /** True if the error is such a block, which is then on. */
  met(error: SturdyError): boolean {
    const { code, message } = error
    if (!isBlockReason(code) || probeOf(code) !== "disk") return false
    if (this.#block?.reason === code) return true
    this.over()
    this.#block = { reason: code, message }
    this.events.emit("blocked", { stream: undefined, reason: code, message, hint: hintOf(code) })
    return true
  }

  /** Something was written: whatever stood in the way is gone. */
  over(): void {
    if (!this.#block) return
    const { reason } = this.#block
    this.#block = undefined
    this.events.emit("unblocked", { stream: undefined, reason })
  }
}
