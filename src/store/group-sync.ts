/**
 * Power-loss durability for many callers at the price of one: `record` commits at synchronous=NORMAL, and `durable`
 * resolves after one fdatasync of the WAL's inode on a pool thread, which covers every op recorded before it *started*.
 *
 * Why a synced WAL prefix is enough: recovery needs only the -wal and the main file, and frames are overwritten only
 * after a checkpoint has synced the main file, which holds at synchronous >= NORMAL in every connection.
 * Proof by power-cut model, traps and speed: ARCHITECTURE.md, "Durability".
 */
import { close, fdatasync, fstatSync, openSync, statSync } from "node:fs"
import { SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Connection } from "./connection.ts"
import { movedError } from "./fault.ts"
import { writeAgain } from "./wal-again.ts"

interface Waiter {
  upto: number
  promise: Promise<void>
  resolve: () => void
  reject: (error: unknown) => void
}

export type Sync = (fd: number, done: (error: Error | null) => void) => void

export class GroupSync {
  readonly #fd: number
  readonly #file: string
  readonly #wal: string
  /** Starts above what is synced: ops of an earlier process, killed before its sync, may be asked for again here. */
  #recorded = 1
  #synced = 0
  #running = false
  #closed = false
  #waiters: Waiter[] = []
  #broken: SturdyError | undefined
  /** Some of the -wal may not be on disk, and no sync would say so: one failed, here or in the process before. */
  #doubtful: boolean
  syncs = 0

  /** Call when the connection has committed at least once: then the -wal exists and nobody can delete it. */
  constructor(
    readonly connection: Connection,
    file: string,
    readonly sync: Sync = fdatasync,
  ) {
    const { synchronous } = connection.db.prepare("pragma synchronous").get() as { synchronous: number }
    if (synchronous < 1)
      throw new SturdyError(
        "database_unsafe",
        "the connection uses synchronous=OFF: a checkpoint could then overwrite what was never written to disk",
        "Set PRAGMA synchronous to NORMAL or FULL on every connection to this file.",
      )
    this.#file = file
    this.#wal = `${file}-wal`
    // Holds a read lock on the main file for as long as we are open, so no last close elsewhere deletes the -wal.
    connection.transact("open the -wal", () => {}, limit.record_busy_ms_max)
    // Locks are never on the -wal: opening and closing it is harmless, unlike the main and the -shm file.
    this.#fd = openWal(this.#wal)
    // Not emptied by a close that went well.
    this.#doubtful = this.walBytes() > 0
  }

  /** Call right after COMMIT returned. */
  mark(): void {
    this.#recorded += 1
  }

  /** Bytes of the WAL, by its own descriptor. */
  walBytes(): number {
    return fstatSync(this.#fd).size
  }

  /** Call when SQLite could not sync: what it then calls written may not be. */
  doubt(): void {
    this.#doubtful = true
  }

  /**
   * Before a checkpoint: after a sync that failed the next one succeeds without the frames that the first one lost; SQLite
   * would overwrite the main file by frames that no recovery finds, and a power loss in the middle would leave neither.
   * False if they cannot be written again: then there must be no checkpoint now.
   */
  repair(): boolean {
    try {
      this.#writeAgain()
      return true
    } catch {
      // The disk, or a lock held elsewhere: tried again before the next.
      return false
    }
  }

  /**
   * Resolves when every op recorded before the call survives power loss.
   *
   * @throws SturdyError `sync_failed`, `indeterminate`: the kernel reports a write error once and then calls the pages
   *   clean, so nothing is ever tried again on this descriptor (Rebello et al., ATC'20). `database_moved` while the file
   *   is not in its place: what was synced is nobody's. `busy`, `storage_fault`: what an earlier process left could not
   *   be written again; asked once more, it is tried once more.
   */
  durable(): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken)
    const upto = this.#recorded
    if (upto <= this.#synced) return this.connection.moved() ? Promise.reject(this.#movedError()) : Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiters.push({ upto, promise, resolve, reject })
    if (!this.#running) {
      this.#running = true
      // One turn later, so that callers of this turn share the sync.
      this.connection.seams.clock.soon(() => this.#run())
    }
    return promise
  }

  /**
   * Await it before the database is closed: who waits is answered first. The descriptor stays open until the last sync
   * is back, because a new file could get its number, and be synced in place of the -wal.
   */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#waiters.map(({ promise }) => promise))
    // SQLite copies the -wal back when the last one closes, whatever we think of it.
    this.repair()
    close(this.#fd)
  }

  #writeAgain(): void {
    if (!this.#doubtful) return
    this.connection.transact("write the -wal again", () => writeAgain(this.#fd, this.#wal))
    this.#doubtful = false
  }

  #run(): void {
    try {
      this.#writeAgain()
    } catch (error) {
      return this.#refuse(error)
    }
    // Read before the call: frames committed while it runs belong to the next sync.
    const upto = this.#recorded
    this.syncs += 1
    this.sync(this.#fd, (error) => {
      if (error) {
        this.#doubtful = true
        return this.#fail(error)
      }
      if (this.connection.moved()) return this.#moved()
      const replaced = this.#replaced()
      if (replaced) return this.#fail(replaced)
      this.#synced = upto
      const waiting = this.#waiters
      this.#waiters = waiting.filter((waiter) => waiter.upto > upto)
      for (const waiter of waiting) if (waiter.upto <= upto) waiter.resolve()
      if (this.#waiters.length) return this.connection.seams.clock.soon(() => this.#run())
      this.#running = false
    })
  }

  /** A -wal with another inode means that what we synced is not what a reader will find. */
  #replaced(): Error | undefined {
    try {
      const ours = fstatSync(this.#fd)
      const found = statSync(this.#wal)
      if (ours.ino === found.ino && ours.dev === found.dev) return
      return new Error(`${this.#wal} was replaced while it was open`)
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** It may be put back, and nothing is known to be lost then: the next who asks is answered by a sync of its own. */
  #moved(): void {
    this.#refuse(this.#movedError())
  }

  /** Not for good. */
  #refuse(error: unknown): void {
    this.#running = false
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  #movedError(): SturdyError {
    return movedError(this.#file, "durable")
  }

  #fail(cause: Error): void {
    this.#broken = new SturdyError(
      "sync_failed",
      `${this.#wal} could not be synced (${cause.message}); whether the last ops survive a power loss is not known`,
      "Close the outbox and open it again; what was recorded still survives the death of the process.",
      { cause, indeterminate: true },
    )
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#broken)
  }
}

function openWal(path: string): number {
  try {
    return openSync(path, "r+")
  } catch (cause) {
    throw new SturdyError(
      "database_unopenable",
      `${path} cannot be opened (${cause instanceof Error ? cause.message : cause})`,
      "Check that it may be written, and that the process has free file descriptors.",
      { cause },
    )
  }
}
