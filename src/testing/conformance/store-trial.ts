/** One check's way through a store: opened at a place, opened there again, and what is demanded of it. */
import { isDeepStrictEqual } from "node:util"
import { SturdyError, type SturdyErrorCode } from "../../intent/error.ts"
import * as limit from "../../intent/limit.ts"
import { Lease } from "../../store/lease.ts"
import type { ProcessIdentity } from "../../store/process-identity.ts"
import type { SturdyRef } from "../../store/stream.ts"
import { ManualClock } from "../manual-clock.ts"
import { ConformanceError } from "./check.ts"
import { openStoreParts, type StoreParts, type StorePartsOptions } from "./store-parts.ts"
import type { StorePlace } from "./store-subject.ts"

/** Anything but the store's own rows at this place is the host's, and no business of a check. */
const own_tables =
  "select name from sqlite_schema where type = 'table' and name like 'sturdy!_%' escape '!' order by name"

/** Of another machine: nobody here can tell that it is dead. */
const elsewhere: ProcessIdentity = { host: "elsewhere", boot_id: "b", pid: 1, pid_started: "1", isDead: () => false }

export class StoreTrial {
  readonly clock = new ManualClock()
  readonly #place: StorePlace
  #options: StorePartsOptions = {}
  #parts: StoreParts | undefined

  constructor(place: StorePlace) {
    this.#place = place
  }

  get store(): StoreParts {
    return (this.#parts ??= openStoreParts(this.#place.where, refTo("notes"), { ...this.#options, clock: this.clock }))
  }

  /** As the next process finds it, when the lease of this one has ended. */
  reopen(options: StorePartsOptions = {}): StoreParts {
    this.close()
    this.#options = options
    this.clock.turn(limit.lease_ms)
    return this.store
  }

  close(): void {
    this.#parts?.close()
    this.#parts = undefined
  }

  /** Another stream of the same outbox. */
  other(name = "other"): number {
    return this.store.streams.open(name, refTo(name)).stream_id
  }

  /** The lease as another process has it. */
  foreignLease(owner: string): Lease {
    return new Lease(this.store.connection, owner, elsewhere, limit.lease_ms)
  }

  /** What the store has written, row by row. */
  rows(): Record<string, unknown[]> {
    const { db } = this.store
    const names = db.query<{ name: string }, []>(own_tables).all()
    return Object.fromEntries(names.map(({ name }) => [name, db.query(`select * from ${name}`).all()]))
  }

  count(table: string): number {
    return this.store.db.query<{ n: number }, []>(`select count(*) as n from ${table}`).get()!.n
  }

  same(what: string, got: unknown, wanted: unknown): void {
    if (isDeepStrictEqual(got, wanted)) return
    throw new ConformanceError(`${what}\n  should be ${text(wanted)}\n  is        ${text(got)}`)
  }

  /** The call is refused with this code, and not a row has changed. */
  refuses(what: string, code: SturdyErrorCode, call: () => unknown): void {
    const thrown = this.#unchanged(what, call)
    if (thrown instanceof SturdyError && thrown.code === code) return
    throw new ConformanceError(`${what}\n  should be refused ${code}\n  but       ${told(thrown)}`)
  }

  /** The call returns undefined or throws, and not a row has changed. */
  changesNothing(what: string, call: () => unknown): void {
    this.#unchanged(what, call)
  }

  #unchanged(what: string, call: () => unknown): unknown {
    const before = this.rows()
    let outcome: unknown
    try {
      outcome = call()
    } catch (error) {
      outcome = error
    }
    const after = this.rows()
    for (const table of Object.keys(before)) this.same(`${what}: the rows of ${table}`, after[table], before[table])
    return outcome
  }
}

function refTo(name: string): SturdyRef {
  const share_id = `share_of_the_stream_${name}`
  return { service: "https://share.example/rpc/share", share_id, secret: "secret_of_the_conformance_suite" }
}

function told(outcome: unknown): string {
  if (outcome instanceof SturdyError) return `was refused ${outcome.code}: ${outcome.message}`
  return outcome instanceof Error ? `threw ${outcome}` : `returned ${text(outcome)}`
}

function text(value: unknown): string {
  const shown = JSON.stringify(value, (_, part: unknown) => (part === undefined ? "undefined" : part))
  return shown.length > 2_000 ? `${shown.slice(0, 2_000)}…` : shown
}
