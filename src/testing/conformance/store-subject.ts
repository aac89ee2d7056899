/** A place where an outbox can lie, as the suite of the store has it. */
import type { Database } from "bun:sqlite"
import { kindOf, shapeProblem } from "../../intent/shape.ts"

export interface StorePlace {
  /** What `openOutbox` is given: the path of a file that is not there yet, or a handle of the host's. */
  where: string | { database: Database }
  /** Called when the check is over, however it ended. */
  close?: () => unknown
}

export interface StoreSubject {
  /** A place for one check, empty. */
  make: () => StorePlace | Promise<StorePlace>
  /** The place is a database of the host's: what its own open transaction means for the outbox is checked too. */
  host?: boolean
}

/** @throws TypeError which field is wrong, and how */
export function checkStoreSubject(subject: StoreSubject): void {
  const problem = shapeProblem(subject, ["make", "host"])
  if (problem) throw new TypeError(`eachStoreCheck: the subject ${problem}`)
  if (typeof subject.make !== "function")
    throw new TypeError(`eachStoreCheck: make must be a function that returns a place, got ${kindOf(subject.make)}`)
  if (subject.host !== undefined && typeof subject.host !== "boolean")
    throw new TypeError(`eachStoreCheck: host must be true or false, got ${kindOf(subject.host)}`)
}

/** @throws TypeError if what `make` returned is no place */
export function checkStorePlace(place: StorePlace): void {
  const where: unknown = (place as StorePlace | undefined)?.where
  if (typeof where === "string" && where !== "") return
  if (typeof where === "object" && where !== null && "database" in where) return
  throw new TypeError("eachStoreCheck: make must return { where }, a file name or { database }")
}
