/** The end of an outbox: what `close` can be told, and how its steps are done. */
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import { kindOf, shapeProblem } from "./intent/shape.ts"
import { closedError } from "./answers.ts"
import type { OutboxParts } from "./parts.ts"

export interface CloseOptions {
  /** Budget of the last flush, in ms; Infinity: as long as it takes. @default 2,000 */
  flush_ms?: number
}

/** The budget; or `invalid_argument`, as a value: `close` always answers with a promise. */
export function flushMsOf(options: CloseOptions | null | undefined): number | SturdyError {
  const misshapen = options == null ? undefined : shapeProblem(options, ["flush_ms"])
  if (misshapen) return wrong(`close: the object ${misshapen}`)
  const flush_ms: unknown = options?.flush_ms ?? limit.close_flush_ms
  if (typeof flush_ms === "number" && flush_ms >= 0) return flush_ms
  return wrong(
    `close: flush_ms must be a number from 0 on, got ${typeof flush_ms === "number" ? flush_ms : kindOf(flush_ms)}`,
  )
}

/** Ends what runs, and then calls `release`. Nothing is flushed while the host has paused sending. */
export function closeParts(parts: OutboxParts, flush_ms: number, release: () => void): Promise<void> {
  const { answers, checkpoints, durability, flusher, resyncs, rotations } = parts
  return doEach([
    () => {
      if (flush_ms === 0 || flusher.paused) return
      flusher.wake(0)
      return answers.flushFor(flush_ms)
    },
    () => resyncs?.close(),
    () => Promise.all([flusher.stop(), rotations.close()]),
    () => answers.end(closedError()),
    () => checkpoints?.close(),
    () => durability.close(),
    release,
  ])
}

/** One after the other, each whatever became of those before. Rejects with what the first one threw. */
export async function doEach(steps: readonly (() => unknown)[]): Promise<void> {
  const thrown: unknown[] = []
  for (const step of steps)
    try {
      await step()
    } catch (error) {
      thrown.push(error)
    }
  if (thrown.length > 0) throw thrown[0]
}

function wrong(message: string): SturdyError {
  return new SturdyError(
    "invalid_argument",
    `${message}; the outbox stays open`,
    "For example close({ flush_ms: 5_000 }).",
  )
}
