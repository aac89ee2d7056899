/**
 * Text while it is being written: opencode announces a part when it begins and when it ends, and deltas in between. A
 * checkpoint is the part with the text so far, at a bounded rate, under the part's own key: the next one, or the whole
 * part, replaces it if it was not sent yet. Off by default: it costs requests, and the end brings everything anyway.
 */
import type { Clock } from "../intent/seam.ts"
import { type BusEvent, isRecord } from "./event.ts"

/** Below it a text would be sent more often than anyone reads; ms. */
export const live_text_ms_min = 100

export function isLiveTextMs(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === "number" && Number.isFinite(value) && value >= live_text_ms_min)
}

/** Parts that are followed at the same time: the memory that an endless stream of parts may take. */
const parts_max = 100

/** Characters of one text that is followed: a longer one is seen when its part ends. */
const text_length_max = 256 * 1024

interface Writing {
  part: Record<string, unknown>
  text: string
  told_at: number
}

export class LiveText {
  readonly #writing = new Map<string, Writing>()
  /** Id of the last delta. */
  #heard: string | undefined

  constructor(
    readonly clock: Clock,
    /** Between two checkpoints of a part, ms. */
    readonly interval_ms: number,
  ) {}

  /** A part as opencode announced it: deltas go on from here. */
  begin(part: Record<string, unknown>): void {
    const id = String(part.id)
    this.#writing.delete(id)
    const isEnded = isRecord(part.time) && part.time.end !== undefined
    if (isEnded || typeof part.text !== "string") return
    this.#writing.set(id, { part: structuredClone(part), text: part.text, told_at: this.clock.monotonic() })
    const oldest = this.#writing.keys().next()
    if (this.#writing.size > parts_max && !oldest.done) this.#writing.delete(oldest.value)
  }

  /** A part was removed, or without one a message: deltas that come late bring nothing back. */
  end(message_id: unknown, part_id: unknown): void {
    for (const [id, { part }] of this.#writing)
      if (part_id === undefined ? part.messageID === message_id : id === part_id) this.#writing.delete(id)
  }

  /** The part with its text so far, if it is time to tell. */
  hear({ id, properties }: BusEvent): Record<string, unknown> | undefined {
    const { partID, field, delta } = properties
    // Of a plugin that is listed twice each tells every event.
    if (typeof id === "string" && id === this.#heard) return
    this.#heard = id
    const writing = this.#writing.get(String(partID))
    if (!writing || field !== "text" || typeof delta !== "string") return
    writing.text += delta
    if (writing.text.length > text_length_max) return void this.#writing.delete(String(partID))
    const now = this.clock.monotonic()
    if (now - writing.told_at < this.interval_ms) return
    writing.told_at = now
    return { ...writing.part, text: writing.text }
  }
}
