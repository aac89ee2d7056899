/** What a host may choose when it opens an outbox; the defaults are those of intent/limit.ts. */
import type { BackoffBounds } from "./intent/backoff.ts"
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import { kindOf, shapeProblem } from "./intent/shape.ts"
import type { Damaged } from "./store/database.ts"
import type { ResyncReason } from "./store/resync.ts"
import type { Stream } from "./stream.ts"
import { nameProblem } from "./ref.ts"
import type { Protocol } from "./wire/protocol.ts"
import type { Transport } from "./wire/transport.ts"

/** What is about to be sent, and where. */
export interface Attempt {
  stream: string
  service: string
}

export interface OutboxOptions {
  /**
   * Headers of every attempt, e.g. a gateway's key: look at which service it is for. Called once per attempt,
   * synchronously; `{}` for none. Anything but a plain object of texts (nothing, a promise, a `Headers`), and what it
   * throws, is a failed attempt, `headers_fault`: nothing is sent without them, and it is called again after the backoff.
   */
  headers?: (attempt: Attempt) => Record<string, string>
  /**
   * Bytes that the outbox file may hold; beyond it `record` throws `outbox_full`. An integer from 256 KiB.
   *
   * @default 1 GiB
   */
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
  /** How long the first op of a batch waits for others, in ms: an integer up to an hour. @default 50 */
  lingerMs?: number
  /** Bounds of the backoff, in ms: integers from 1 to a day, the lower one first. @default 500 and 60,000 */
  retryDelayMsMin?: number
  retryDelayMsMax?: number
  /**
   * How long another process waits for one that died on another host, in ms: an integer from 100 to 10 minutes.
   *
   * @default 10,000
   */
  leaseMs?: number
  /**
   * Called when the host must record its state again: the service lost what is no longer kept here (`server_reset`; the
   * stream goes on when the hook has returned), or a copy of this outbox has written to the share too (`twin`). What it
   * records is written whole: `onlyIfChanged` and, after a reset, `captureId` begin anew. At least once per occasion.
   */
  resync?: (stream: Stream, reason: ResyncReason) => void | Promise<void>
  /**
   * How services are spoken to, the best first. Of a service that has not answered yet they are tried in this order: the
   * next one if an attempt is answered as a whole by HTTP 404, 405, 415 or 501, in the same attempt. The one in which the
   * service itself answers is remembered. Names are unique.
   *
   * @default [rpc]
   */
  protocols?: readonly Protocol[]
  /** Network, for tests and simulators. */
  transport?: Transport
  /** Time, randomness and crash points, for tests and simulators. */
  seams?: Seams
}

export function backoffOf({ retryDelayMsMin, retryDelayMsMax }: OutboxOptions): BackoffBounds {
  return { min_ms: retryDelayMsMin ?? limit.retry_delay_ms_min, max_ms: retryDelayMsMax ?? limit.retry_delay_ms_max }
}

/** Why the value is not taken; undefined if it is. */
type Check = (value: unknown) => string | undefined

const checks: Record<keyof OutboxOptions, Check> = {
  headers: aFunction,
  outboxBytesMax: anInteger(256 * 1024, Number.MAX_SAFE_INTEGER),
  damaged: (value) =>
    value === "refuse" || value === "quarantine" ? undefined : 'must be "refuse" (the default) or "quarantine"',
  lingerMs: anInteger(0, 3_600_000),
  retryDelayMsMin: anInteger(1, 24 * 3_600_000),
  retryDelayMsMax: anInteger(1, 24 * 3_600_000),
  // A third of it is the time between two renewals, each a write; a clock that is turned by hand is no reason for more.
  leaseMs: anInteger(100, 600_000),
  resync: aFunction,
  protocols: protocolsProblem,
  transport: aFunction,
  seams: seamsProblem,
}

/** @throws SturdyError `invalid_argument`, naming the option. */
export function checkOptions(options: OutboxOptions): void {
  const misshapen = shapeProblem(options, Object.keys(checks))
  if (misshapen) throw wrong(`the options of openOutbox: the object ${misshapen}`)
  for (const [name, check] of Object.entries(checks)) {
    const value = options[name as keyof OutboxOptions]
    const problem = value === undefined ? undefined : check(value)
    if (problem) throw wrong(`option ${name} ${problem}`)
  }
  const { min_ms, max_ms } = backoffOf(options)
  if (min_ms > max_ms) throw wrong(`option retryDelayMsMin is ${min_ms}, above retryDelayMsMax, which is ${max_ms}`)
}

function wrong(message: string): SturdyError {
  return new SturdyError("invalid_argument", `${message}; nothing was opened`, "See OutboxOptions.")
}

function aFunction(value: unknown): string | undefined {
  return typeof value === "function" ? undefined : `must be a function, got ${kindOf(value)}`
}

function anInteger(min: number, max: number): Check {
  return (value) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return
    return `must be an integer from ${min} to ${max}, got ${typeof value === "number" ? value : kindOf(value)}`
  }
}

function protocolsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return "must be a list of at least one protocol"
  const names = value.map((protocol: Partial<Protocol> | null) => protocol?.name)
  const unfit = names.findIndex((name, place) => nameProblem(name) ?? typeof value[place].send !== "function")
  if (unfit >= 0) return `[${unfit}] is no protocol: { name, send }`
  return new Set(names).size < names.length ? "names a protocol twice" : undefined
}

function seamsProblem(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return `must be an object, got ${kindOf(value)}`
  const { clock, random, crashPoint } = value as Partial<Seams>
  const parts: Record<string, unknown> = {
    "clock.now": clock?.now,
    "clock.monotonic": clock?.monotonic,
    "clock.timer": clock?.timer,
    "clock.soon": clock?.soon,
    "clock.block": clock?.block,
    "random.fraction": random?.fraction,
    "random.bytes": random?.bytes,
    crashPoint,
  }
  const missing = Object.keys(parts).find((name) => typeof parts[name] !== "function")
  return missing === undefined ? undefined : `lacks ${missing}, a function`
}
