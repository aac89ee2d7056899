/**
 * Everything that is not a pure function of the input enters here, so that the simulator can replace it:
 * time, randomness, and the places where a process may die. Network: `Transport` in wire/transport.ts.
 */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, ms since the epoch: for people and across processes. May jump in both directions. */
  now(): number
  /** Never goes back, ms from an arbitrary start: for delays, deadlines and trust in a lease. */
  monotonic(): number
  /**
   * Calls back once after `delay_ms`. Keeps the process alive only if `hold`. The system counts whole ms and drops the
   * fraction: who must not be early rounds up.
   */
  timer(delay_ms: number, callback: () => void, hold: boolean): Timer
  /** Calls back once everything else that the event loop has to do now had its turn. No time passes. */
  soon(callback: () => void): void
  /** Holds the thread for so long, fractions of a millisecond too: nothing else of this process runs meanwhile. */
  block(delay_ms: number): void
}

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number
  /** Cryptographically strong bytes: ids and secrets. */
  bytes(count: number): Uint8Array
}

/** Named places where the simulator kills the process; nothing in production. */
export type CrashPoint = (name: string) => void

export interface Seams {
  clock: Clock
  random: Random
  crashPoint: CrashPoint
}
