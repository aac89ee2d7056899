/** What a check of `sturdy doctor` is, what it finds, and how it reads the outbox beside whoever is at work in it. */
import type { Database } from "bun:sqlite"
import type { SturdyError } from "../../intent/error.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"

/** `wrong`: it does not get well by itself. `warning`: it may, or it is a risk. `note`: nothing to do. */
export type Level = "ok" | "note" | "warning" | "wrong"

export interface Observation {
  level: Level
  message: string
  /** What a person can do about it. */
  cure?: string | undefined
  /** To paste; what a person must fill in is in capitals. */
  command?: string | undefined
  /** For programs: whatever the message counts or names. */
  [fact: string]: unknown
}

export interface Finding extends Observation {
  /** Name of the check. */
  check: string
}

export interface Check {
  name: string
  /** Reads what is in the outbox: left out if it cannot be opened. */
  needs?: "database"
  run(context: Context): Iterable<Observation> | AsyncIterable<Observation>
}

export interface Context {
  place: OutboxPlace
  /** Where the outbox lies, links followed: its -wal is beside this. */
  file: string
  /** ms since the epoch, when the doctor came. */
  now: number
  /** Tables of a host's own, if the outbox lives in the host's database. */
  hostTables: readonly string[]
  /** Why the outbox cannot be opened. */
  unopened: SturdyError | undefined
  /** What was found up to now. */
  found: readonly Finding[]
  offline: boolean
  /** Of the host's, for one service: a gateway's key. */
  headersFor(service: string): Record<string, string>
  /** One look into the outbox: it may be repeated, where somebody changed the file under it. */
  read<T>(look: (db: Database) => T): T
  /** On a terminal, as long as the check runs. */
  progress(what: string, done?: number, total?: number): void
}

/** What a damaged outbox is for: its ops can be got out of it when nobody adds to it any more. */
export function damageCure(place: OutboxPlace): Pick<Observation, "cure" | "command"> {
  return {
    cure: "Check the disk. End the programs that have the outbox open, keep a copy of it and its -wal, then put it aside; a fresh one begins:",
    command: commandLine(place, "doctor", "--quarantine"),
  }
}
