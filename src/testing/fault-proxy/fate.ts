/**
 * Fates: what the fault proxy does to a connection, or to one exchange on it. Each is a small plain value that can be
 * printed, stored and sent; all of them are here, with what they mean.
 */
import { kindOf } from "../../intent/shape.ts"

/**
 * How a connection ends. `fin`: in order, as when a process closes it; both sides can read what came before. `rst`: reset,
 * as when a process dies with data unread or a NAT forgets; what came before may or may not be read.
 */
export type Ending = "fin" | "rst"

/** One request and its response. `at` and `bytes` count from the first byte of the head unless said otherwise. */
export type ExchangeFate =
  /** Nothing happens to it: bytes pass as they come, in both directions. */
  | { fault: "none" }
  /** The request is passed on after `delay_ms`, even if the client has gone by then: a late request. */
  | { fault: "delay_request"; delay_ms: number }
  /** The service answers at once; the client gets the answer after `delay_ms`. */
  | { fault: "delay_response"; delay_ms: number }
  /** The request is passed on when `release()` is called, even if the client has gone by then: later than newer ones. */
  | { fault: "hold_request" }
  /** The service has decided; the client gets the answer when `release()` is called. */
  | { fault: "hold_response" }
  /** The request is swallowed: the service never sees it, the client never hears anything, the connection stays. */
  | { fault: "drop_request" }
  /** The service answers; the answer is swallowed, the connection stays. */
  | { fault: "drop_response" }
  /** Both connections end after `at` bytes of the request went to the service; at its length or beyond: after all of it. */
  | { fault: "cut_request"; at: number; by: Ending }
  /** The service has answered; both connections end after `at` bytes of the answer went to the client. */
  | { fault: "cut_response"; at: number; by: Ending }
  /** The service gets the first `bytes` of the body as a whole request: a content-length that fits says so. */
  | { fault: "truncate_request"; bytes: number }
  /** The client gets the first `bytes` of the body as a whole response: a content-length that fits says so. */
  | { fault: "truncate_response"; bytes: number }
  /**
   * The service gets the request twice, the second time on a connection of its own: together with the first, after the
   * answer to it, or when `release()` is called. The client gets the answer to the first.
   *
   * @default second "after"
   */
  | { fault: "duplicate_request"; second?: "together" | "after" | "released" }
  /** The client gets the bytes of the response twice. */
  | { fault: "duplicate_response" }
  /** So many bytes of the request pass in every `every_ms` of the clock; the client is made to wait. @default 1 ms */
  | { fault: "throttle_request"; bytes: number; every_ms?: number }
  /** The same of the response. */
  | { fault: "throttle_response"; bytes: number; every_ms?: number }
  /**
   * A gateway answers with this status. `retry_after`: the header, seconds or a date. `forwarded`: the service had the
   * request, and its answer is swallowed, as by a gateway that lost patience.
   *
   * @default forwarded false
   */
  | { fault: "status"; status: number; retry_after?: number | string; forwarded?: boolean }
  /** A gateway sends the client elsewhere; the service sees nothing. @default status 307 */
  | { fault: "redirect"; location: string; status?: number }
  /** A captive portal answers 200 with an HTML page; the service sees nothing. */
  | { fault: "page" }

/** A connection as it is made. What it does not end goes on exchange by exchange. */
export type ConnectionFate =
  /** Nothing happens to it. */
  | { fault: "none" }
  /** Reset as soon as it is accepted. (For a port where nobody listens, there is `down()`.) */
  | { fault: "refuse" }
  /** Ended in order as soon as it is accepted. */
  | { fault: "close" }
  /** Accepted, and then nothing: all that comes is swallowed, and is no exchange. */
  | { fault: "silence" }

/** Why a value is not taken; undefined if it is. */
type Check = (value: unknown) => string | undefined

interface Field {
  check: Check
  optional?: true
}

const count = { check: anInteger(0, Number.MAX_SAFE_INTEGER) }
const delay = { check: anInteger(0, 24 * 3_600_000) }
const by = { check: oneOf("fin", "rst") }
const throttled = {
  bytes: { check: anInteger(1, Number.MAX_SAFE_INTEGER) },
  every_ms: { check: anInteger(1, 3_600_000), optional: true },
} as const

const exchangeFaults: Record<ExchangeFate["fault"], Record<string, Field>> = {
  none: {},
  delay_request: { delay_ms: delay },
  delay_response: { delay_ms: delay },
  hold_request: {},
  hold_response: {},
  drop_request: {},
  drop_response: {},
  cut_request: { at: count, by },
  cut_response: { at: count, by },
  truncate_request: { bytes: count },
  truncate_response: { bytes: count },
  duplicate_request: { second: { check: oneOf("together", "after", "released"), optional: true } },
  duplicate_response: {},
  throttle_request: throttled,
  throttle_response: throttled,
  status: {
    status: { check: anInteger(200, 599) },
    retry_after: { check: retryAfter, optional: true },
    forwarded: { check: oneOf(true, false), optional: true },
  },
  redirect: {
    location: { check: headerText },
    status: { check: oneOf(301, 302, 303, 307, 308), optional: true },
  },
  page: {},
}

const connectionFaults: Record<ConnectionFate["fault"], Record<string, Field>> = {
  none: {},
  refuse: {},
  close: {},
  silence: {},
}

/** Names of all faults that can meet an exchange, or a connection. */
export const exchangeFaultNames = Object.keys(exchangeFaults) as ExchangeFate["fault"][]
export const connectionFaultNames = Object.keys(connectionFaults) as ConnectionFate["fault"][]

/** A copy, so that it stays what it was. @throws TypeError that names what is wrong */
export function exchangeFate(value: unknown): ExchangeFate {
  return checked(value, exchangeFaults, "an exchange") as ExchangeFate
}

/** @throws TypeError that names what is wrong */
export function connectionFate(value: unknown): ConnectionFate {
  return checked(value, connectionFaults, "a connection") as ConnectionFate
}

function checked(value: unknown, faults: Record<string, Record<string, Field>>, of: string): unknown {
  if (typeof value !== "object" || value === null) throw new TypeError(`a fate is an object, got ${kindOf(value)}`)
  const { fault, ...rest } = value as Record<string, unknown>
  if (typeof fault !== "string" || !Object.hasOwn(faults, fault))
    throw new TypeError(
      `${typeof fault === "string" ? JSON.stringify(fault) : kindOf(fault)} is no fate of ${of}: ${Object.keys(faults).join(", ")}`,
    )
  const fields = faults[fault]!
  const unknown = Object.keys(rest).find((name) => !Object.hasOwn(fields, name))
  if (unknown !== undefined) throw new TypeError(`${fault} has no ${JSON.stringify(unknown)}`)
  for (const [name, { check, optional }] of Object.entries(fields)) {
    if (optional && rest[name] === undefined) continue
    const problem = check(rest[name])
    if (problem) throw new TypeError(`${name} of ${fault} ${problem}`)
  }
  return { fault, ...rest }
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : typeof value === "number" ? String(value) : kindOf(value)
}

function anInteger(min: number, max: number): Check {
  return (value) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return
    return `must be an integer from ${min} to ${max}, got ${shown(value)}`
  }
}

function oneOf(...values: unknown[]): Check {
  return (value) =>
    values.includes(value) ? undefined : `must be one of ${values.map(String).join(", ")}, got ${shown(value)}`
}

function headerText(value: unknown): string | undefined {
  if (typeof value === "string" && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return
  return `must be a text that a header can hold, got ${shown(value)}`
}

function retryAfter(value: unknown): string | undefined {
  return typeof value === "number" ? anInteger(0, Number.MAX_SAFE_INTEGER)(value) : headerText(value)
}
