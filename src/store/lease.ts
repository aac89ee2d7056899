/**
 * The lease: at most one process flushes an outbox.
 *
 * The row is the truth. `term` grows by 1 per acquisition and is checked in every freezing and settling transaction, so
 * a holder that slept past its expiry changes nothing, once another has taken over; if nobody has, it goes on. Clocks only
 * decide when to try: a lease is free when its wall time has passed, when this process has watched it unchanged for its
 * length by its own monotonic clock (the wall clock may have jumped), or at once when it is this owner's own (its release
 * failed) or that of a dead process of this host and boot.
 * Model: River's leadership lease, internal/leadership/doc.go.
 */
import type { Statement } from "bun:sqlite"
import * as limit from "../intent/limit.ts"
import type { Connection } from "./connection.ts"
import type { ProcessIdentity } from "./process-identity.ts"

export interface LeaseRow {
  term: number
  owner: string
  host: string
  boot_id: string
  pid: number
  pid_started: string
  time_expires: number
}

export type Acquired = { held: true; term: number } | { held: false; by: LeaseRow }

export class Lease {
  readonly #read: Statement<LeaseRow>
  readonly #take: Statement
  readonly #renew: Statement
  readonly #release: Statement
  /** The foreign lease as last seen, since when it has not changed (monotonic), and how long that is to be watched. */
  #watched: { term: number; time_expires: number; since: number; length_ms: number } | undefined

  constructor(
    readonly connection: Connection,
    /** Random, one per opened outbox: two of them in one process are two owners. */
    readonly owner: string,
    readonly identity: ProcessIdentity,
    readonly lease_ms: number,
  ) {
    const { db } = connection
    this.#read = db.prepare(
      "select term, owner, host, boot_id, pid, pid_started, time_expires from sturdy_lease where id = 1",
    )
    this.#take = db.prepare(
      `insert into sturdy_lease (id, term, owner, host, boot_id, pid, pid_started, time_expires)
       values (1, ?, ?, ?, ?, ?, ?, ?)
       on conflict (id) do update set term = excluded.term, owner = excluded.owner, host = excluded.host,
         boot_id = excluded.boot_id, pid = excluded.pid, pid_started = excluded.pid_started,
         time_expires = excluded.time_expires`,
    )
    this.#renew = db.prepare("update sturdy_lease set time_expires = ? where id = 1 and term = ? and owner = ?")
    this.#release = db.prepare("update sturdy_lease set time_expires = 0 where id = 1 and term = ? and owner = ?")
  }

  read(): LeaseRow | undefined {
    return this.connection.read("read lease", () => this.#read.get()) ?? undefined
  }

  /** Takes the lease if it is free. A new term each time, also when the last holder was this one. */
  acquire(): Acquired {
    const seen = this.read()
    if (seen && !this.#isFree(seen)) return { held: false, by: seen }
    this.connection.assertAlone("acquire lease")
    return this.connection.transact("acquire lease", (): Acquired => {
      const current = this.#read.get()
      if (current && !this.#isFree(current)) return { held: false, by: current }
      const term = (current?.term ?? 0) + 1
      const { host, boot_id, pid, pid_started } = this.identity
      this.#take.run(term, this.owner, host, boot_id, pid, pid_started, this.#expiry())
      return { held: true, term }
    })
  }

  /** False if the lease was taken over. */
  renew(term: number): boolean {
    return this.connection.transact(
      "renew lease",
      () => this.#renew.run(this.#expiry(), term, this.owner).changes === 1,
    )
  }

  /** Frees the lease for others. A late release names its term and so cannot free a newer lease. */
  release(term: number): void {
    this.connection.transact("release lease", () => {
      this.#release.run(term, this.owner)
    })
  }

  /** Inside a transaction: is this term still the current one? */
  isHeld(term: number): boolean {
    const row = this.#read.get()
    return row !== null && row.term === term && row.owner === this.owner
  }

  #expiry(): number {
    return this.connection.seams.clock.now() + this.lease_ms
  }

  #isFree(row: LeaseRow): boolean {
    const { clock } = this.connection.seams
    const left_ms = row.time_expires - clock.now()
    if (left_ms <= 0 || row.owner === this.owner || this.identity.isDead(row)) return true
    const watched = this.#watched
    if (watched?.term === row.term && watched.time_expires === row.time_expires)
      return clock.monotonic() - watched.since >= watched.length_ms
    // Its holder may renew more rarely than we would. Capped: what is left is by a wall clock that may have jumped.
    const length_ms = Math.max(this.lease_ms, Math.min(left_ms, limit.lease_ms))
    this.#watched = { term: row.term, time_expires: row.time_expires, since: clock.monotonic(), length_ms }
    return false
  }
}
