/** An outbox on the real network whose time passes only when nothing else can happen: the same life, the same system calls. */
import { TransportFault, type TransportRequest, type TransportResponse } from "../../../src/wire/transport.ts"
import type { CrashPoint } from "../../../src/intent/seam.ts"
import { openOutbox, type Outbox } from "../../../src/outbox.ts"
import type { SturdyRef } from "../../../src/store/stream.ts"
import type { Stream } from "../../../src/stream.ts"
import type { ManualClock } from "../../../src/testing/manual-clock.ts"
import { seeded } from "../../torture/seeded.ts"

/** Turns of the event loop in which nothing happens, after which only time can help. */
const quiet_turns = 8
const step_ms = 50

export interface Turned {
  outbox: Outbox
  stream: Stream
  clock: ManualClock
  /** Lets time pass until the promise has settled; false if that takes longer. What it throws is thrown. */
  until(promise: Promise<unknown>, limit_ms?: number): Promise<boolean>
}

const noCrashPoint: CrashPoint = () => {}

/**
 * Opens the outbox, paused, with its one stream, whose share it creates. A seed of its own for each process and opening:
 * ids come of it. What `openOutbox` and `stream` throw is thrown.
 */
export function openTurned(
  file: string,
  ref: SturdyRef,
  seed: number,
  clock: ManualClock,
  crashPoint = noCrashPoint,
): Turned {
  const posts = new Set<Promise<unknown>>()
  const transport = (request: TransportRequest) => {
    const post = send(request)
    const settled = post.then(
      () => {},
      () => {},
    )
    posts.add(settled)
    void settled.then(() => posts.delete(settled))
    return post
  }
  const seams = { clock, random: seeded(seed), crashPoint }
  const outbox = openOutbox(file, { seams, transport })
  // Sends when it is told to, at the same place of every life.
  outbox.pause()
  let stream: Stream
  try {
    stream = outbox.stream("notes", ref, { create: { session_id: "ses_1" } })
  } catch (error) {
    outbox.close({ flush_ms: 0 }).catch(() => {})
    throw error
  }
  return {
    outbox,
    stream,
    clock,
    async until(promise, limit_ms = 600_000) {
      const state = { ended: false }
      const end = () => {
        state.ended = true
      }
      promise.then(end, end)
      let quiet = 0
      for (let passed = 0; !state.ended;) {
        clock.turn(0)
        await new Promise((resolve) => setImmediate(resolve))
        if (posts.size > 0) {
          quiet = 0
          await Promise.race(posts)
          continue
        }
        if (++quiet < quiet_turns) continue
        if (passed >= limit_ms) return false
        clock.turn(step_ms)
        passed += step_ms
        quiet = 0
      }
      await promise
      return true
    },
  }
}

/** Bun's own client, which starts faster than connections of ours: it is the disk that is tried here. */
async function send({ url, headers, body, signal }: TransportRequest): Promise<TransportResponse> {
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal })
    return {
      status: response.status,
      retry_after: response.headers.get("retry-after"),
      content_type: response.headers.get("content-type"),
      body: await response.text(),
    }
  } catch (cause) {
    throw new TransportFault(signal.aborted ? "aborted" : "connection_lost", "unknown", "the POST failed", { cause })
  }
}
