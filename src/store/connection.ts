/**
 * One connection to the outbox and its transactions. Every transaction is immediate and synchronous: a deferred one
 * fails with BUSY_SNAPSHOT whatever the timeout, and an `await` inside one commits at the first suspension (both
 * measured with bun:sqlite).
 */
import { constants, type Database, type Statement } from "bun:sqlite"
import { assert, SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import { isThenable } from "../intent/thenable.ts"
import { isDamage, movedError, sqliteCode, storageError } from "./fault.ts"

type Synchronous<T> = T extends PromiseLike<unknown> ? never : T

export class Connection {
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #moved = new Int32Array(2)
  /** Transactions that this connection committed: the WAL has grown if it has. */
  commits = 0
  /** Told once, when the bytes of the file turn out to be wrong. */
  onDamage: ((doing: string) => void) | undefined
  /** The -wal can no longer be copied back: it would grow for ever, so `write` takes nothing any more. */
  damage: SturdyError | undefined

  constructor(
    readonly db: Database,
    readonly seams: Seams,
    /** Path of the main file; undefined for the host's database, whose file is the host's business. */
    readonly file: string | undefined,
  ) {
    this.#begin = db.prepare("begin immediate")
    this.#commit = db.prepare("commit")
    this.#rollback = db.prepare("rollback")
  }

  /** True while the host has a transaction open on its own handle: ours then becomes part of it. */
  get insideHost(): boolean {
    return this.db.inTransaction
  }

  /**
   * Runs one declared step. `doing` names it in errors; `wait_ms` is how long the lock may be waited for on the thread.
   *
   * @throws SturdyError by SQLite's code; `indeterminate` if COMMIT itself failed.
   */
  transact<T>(doing: string, body: () => Synchronous<T>, wait_ms: number = limit.busy_timeout_ms): T {
    if (this.db.inTransaction) return this.#savepoint(doing, body)
    this.#patiently(doing, wait_ms, () => this.#begin.run())
    let result: T
    try {
      result = body()
      assert(!isThenable(result), `${doing}: a transaction must not return a promise`)
    } catch (error) {
      this.#abandon()
      throw this.fault(error, doing)
    }
    this.seams.crashPoint(`${doing}:before-commit`)
    try {
      this.#commit.run()
    } catch (error) {
      this.#abandon()
      // A busy COMMIT is refused before anything is written; any other error may come after the write.
      throw commitError(this.fault(error, doing, !sqliteCode(error)?.startsWith("SQLITE_BUSY")), doing)
    }
    this.commits += 1
    this.seams.crashPoint(`${doing}:after-commit`)
    this.assertInPlace(doing)
    return result
  }

  /**
   * A step that a host calls for and waits for on its thread: record, retry, a new stream, a removal.
   *
   * @throws SturdyError as `transact`; and `database_corrupt` once the -wal cannot be copied back any more.
   */
  write<T>(doing: string, body: () => Synchronous<T>): T {
    if (this.damage) throw this.damage
    return this.transact(doing, body, limit.record_busy_ms_max)
  }

  /**
   * For steps that are told to others once they are committed: never part of a transaction that may still roll back.
   *
   * @throws SturdyError `busy`.
   */
  assertAlone(doing: string): void {
    if (!this.insideHost) return
    throw new SturdyError(
      "busy",
      `${doing}: the host has a transaction open on this connection; nothing was written`,
      "Nothing to do: it is tried again when the host's transaction has ended.",
    )
  }

  /** Reads outside a transaction, with SQLite's errors translated. Busy while another process recovers or closes. */
  read<T>(doing: string, body: () => T): T {
    return this.#patiently(doing, this.insideHost ? 0 : limit.busy_timeout_ms, body)
  }

  /** SQLite's errors as Sturdy's. All of this connection's pass here, so that damage is noted wherever it is met. */
  fault(error: unknown, doing: string, indeterminate = false): unknown {
    if (isDamage(error)) {
      this.onDamage?.(doing)
      this.onDamage = undefined
    }
    return storageError(error, doing, indeterminate)
  }

  /**
   * Tries until the lock is free, holding the thread for `wait_ms` at most and a last try. SQLite itself is told not to
   * wait (the host's connection does what the host set): its pauses grow to 100 ms, so that of several processes the
   * one that has waited longest looks most rarely. Longest wait of 8 processes on 2 cores, by SQLite's pauses and by
   * these: 124 and 65 ms at 300 records/s each, 535 and 146 ms flat out (npm run test:long -- --only busy).
   */
  #patiently<T>(doing: string, wait_ms: number, attempt: () => T): T {
    const { clock, random } = this.seams
    let since: number | undefined
    for (let pause_ms = limit.lock_pause_ms_min; ; pause_ms = Math.min(2 * pause_ms, limit.lock_pause_ms_max)) {
      try {
        return attempt()
      } catch (error) {
        if (!sqliteCode(error)?.startsWith("SQLITE_BUSY")) throw this.fault(error, doing)
        const now = clock.monotonic()
        since ??= now
        if (now - since >= wait_ms) throw this.fault(error, `${doing}, after ${Math.round(now - since)} ms`)
      }
      // Not in step with the others who wait.
      clock.block(pause_ms * (0.5 + random.fraction() / 2))
    }
  }

  /** After FULL or IOERR SQLite has rolled back by itself; what followed would run in autocommit. */
  #abandon(): void {
    if (this.db.inTransaction) this.#rollback.run()
  }

  #savepoint<T>(doing: string, body: () => Synchronous<T>): T {
    this.db.run("savepoint sturdy")
    try {
      const result = body()
      assert(!isThenable(result), `${doing}: a transaction must not return a promise`)
      this.db.run("release sturdy")
      return result
    } catch (error) {
      if (this.db.inTransaction) {
        this.db.run("rollback to sturdy")
        this.db.run("release sturdy")
      }
      throw this.fault(error, doing)
    }
  }

  /** A file that was deleted or replaced goes on "committing" into an inode that nobody will ever read. */
  assertInPlace(doing: string): void {
    if (this.moved()) throw movedError(this.file!, doing)
  }

  /** Never for the host's file: what becomes of that is the host's business. */
  moved(): boolean {
    if (!this.file) return false
    this.db.fileControl(constants.SQLITE_FCNTL_HAS_MOVED, this.#moved)
    return this.#moved[0] !== 0
  }
}

function commitError(error: unknown, doing: string): SturdyError {
  if (error instanceof SturdyError) return error
  return new SturdyError(
    "storage_fault",
    `${doing}: COMMIT failed (${error instanceof Error ? error.message : error}); it is not known whether it was written`,
    "Repeating with the same captureId is safe.",
    { cause: error, indeterminate: true },
  )
}
