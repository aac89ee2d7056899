/**
 * When the WAL is copied back. Automatic checkpoints would run inside `record` and block it for two syncs, so: when
 * nothing was recorded for `checkpoint_idle_ms`, and at once at the hard cap, since a WAL can wedge a full disk.
 * Own file only: in the host's database the host's policy holds.
 */
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Timer } from "../intent/seam.ts"
import type { Connection } from "./connection.ts"
import type { Durability } from "./durability.ts"

/** Bytes written between two looks at the WAL's size. */
const look_bytes = 512 * 1024
/** What a commit adds to the WAL beyond its payload: the pages that it touches, whole. */
const commit_bytes = 8 * 1024
/** Free pages handed back to the file system per idle checkpoint: bounded, so that the loop is not held. */
const vacuum_pages = 2_000

export class Checkpoints {
  #timer: Timer | undefined
  /** Starts full: an earlier process may have left a large WAL. */
  #sinceLook = look_bytes
  #idleSince = 0
  #commits = 0
  /** The WAL could not be copied whole: a reader stands in the way. Tried again when idle. */
  #dirty = false

  constructor(
    readonly connection: Connection,
    readonly durability: Durability,
  ) {}

  /** Call now and then: freezing and settling write too. */
  look(): void {
    if (this.connection.commits !== this.#commits) this.written(0)
  }

  /** Call after each recording transaction, which writes about so many bytes. */
  written(bytes: number): void {
    this.#dirty = true
    this.#sinceLook += bytes + commit_bytes * (this.connection.commits - this.#commits)
    this.#commits = this.connection.commits
    if (this.#sinceLook >= look_bytes) {
      this.#sinceLook = 0
      const wal = this.durability.walBytes()
      // Truncated, not only copied: the size of the file is what we look at next time.
      if (wal !== undefined && wal + look_bytes >= limit.wal_bytes_max) this.#checkpoint("truncate")
    }
    this.#timer ??= this.connection.seams.clock.timer(limit.checkpoint_idle_ms, () => this.#idle(), false)
    this.#idleSince = this.connection.seams.clock.monotonic()
  }

  /** The timer is not moved at each write, which would cost more than the write: it looks when it fires. */
  #idle(): void {
    this.#timer = undefined
    if (!this.#dirty) return
    const { clock } = this.connection.seams
    const left = limit.checkpoint_idle_ms - (clock.monotonic() - this.#idleSince)
    // Less than a ms is a rounding: less than the clock can show, and a timer for it could fire without time passing.
    if (left >= 1) {
      this.#timer = clock.timer(left, () => this.#idle(), false)
      return
    }
    this.#dirty = false
    this.#checkpoint("passive")
    this.#shrink()
  }

  /** Hands back the room of a drained outbox: first the main file's free pages, then the WAL. */
  #shrink(): void {
    const { db } = this.connection
    if (db.inTransaction) return
    try {
      const freelist_count = this.connection.read("vacuum", () => {
        const free = db.query("pragma freelist_count").get() as { freelist_count: number }
        if (free.freelist_count > vacuum_pages / 10) db.run(`pragma incremental_vacuum(${vacuum_pages})`)
        return free.freelist_count
      })
      this.#checkpoint("truncate")
      if (freelist_count > vacuum_pages) this.written(0)
    } catch (error) {
      this.#ignore(error)
    }
  }

  #checkpoint(mode: "passive" | "truncate"): void {
    const { db } = this.connection
    if (db.inTransaction || !this.durability.repair()) return
    try {
      // TRUNCATE does not wait for readers in other processes: what is busy is said in its row, and left for next time.
      this.connection.read("checkpoint", () => db.query(`pragma wal_checkpoint(${mode})`).get())
    } catch (error) {
      this.#ignore(error)
    }
  }

  close(): void {
    this.#timer?.cancel()
  }

  /** Housekeeping: busy or full now, it is tried again, and what was recorded does not depend on it. Damage stays. */
  #ignore(error: unknown): void {
    if (!(error instanceof SturdyError)) throw error
    if (error.code === "storage_fault") this.durability.doubt()
    if (error.code === "database_corrupt") this.connection.damage ??= error
  }
}
