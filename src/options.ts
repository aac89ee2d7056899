/** What a host may choose when it opens an outbox; the defaults are those of intent/limit.ts. */
import type { BackoffBounds } from "./intent/backoff.ts"
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import type { Damaged } from "./store/database.ts"
import type { ResyncReason } from "./store/resync.ts"
import type { Stream } from "./stream.ts"
import type { Transport } from "./wire/transport.ts"

export interface OutboxOptions {
  /** Headers of every attempt, e.g. a gateway's key. Called once per attempt. */
  headers?: () => Record<string, string>
  /** Bytes that the outbox file may hold; beyond it `record` throws `outbox_full`. @default 1 GiB */
  outboxBytesMax?: number
  /**
   * What to do with an outbox file of its own that is damaged. `refuse`: throw `database_corrupt`, the bytes stay as they
   * are. `quarantine`: rename it with its -wal to `<file>.damaged-<UTC>`, kept for ever, and begin empty; the host is told
   * by `outbox.quarantined` and the event of that name. What waited in it is not sent by itself. Never done to what may
   * be somebody else's, to a file that another process has open, for an error of the disk, or to the host's database.
   *
   * @default "refuse"
   */
  damaged?: Damaged
  /** How long the first op of a batch waits for others, in ms. @default 50 */
  lingerMs?: number
  /** Bounds of the backoff, in ms. @default 500 and 60,000 */
  retryDelayMsMin?: number
  retryDelayMsMax?: number
  /** How long another process waits for one that died on another host, in ms. @default 10,000 */
  leaseMs?: number
  /**
   * Called when the host must record its state again: the service lost what is no longer kept here (`server_reset`; the
   * stream goes on when the hook has returned), or a copy of this outbox has written to the share too (`twin`). What it
   * records is written whole: `onlyIfChanged` and, after a reset, `captureId` begin anew. At least once per occasion.
   */
  resync?: (stream: Stream, reason: ResyncReason) => void | Promise<void>
  /** Network, for tests and simulators. */
  transport?: Transport
  /** Time, randomness and crash points, for tests and simulators. */
  seams?: Seams
}

export function backoffOf({ retryDelayMsMin, retryDelayMsMax }: OutboxOptions): BackoffBounds {
  return { min_ms: retryDelayMsMin ?? limit.retry_delay_ms_min, max_ms: retryDelayMsMax ?? limit.retry_delay_ms_max }
}
