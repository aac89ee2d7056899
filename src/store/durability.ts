/**
 * Which way `durable()` takes. Own file on Linux: group sync of the WAL. Elsewhere, and in the host's database: one
 * commit at synchronous=FULL, which is correct but holds the event loop for one sync.
 */
import { SturdyError } from "../intent/error.ts"
import type { Connection } from "./connection.ts"
import { GroupSync } from "./group-sync.ts"

export interface Durability {
  /** Call right after a recording transaction returned. */
  mark(): void
  durable(): Promise<void>
  /** Call when SQLite could not sync. */
  doubt(): void
  /** Call before a checkpoint; false if it must not be. */
  repair(): boolean
  /** Bytes of the WAL, if this way knows. */
  walBytes(): number | undefined
  /** Await it before the database is closed. */
  close(): Promise<void>
}

export function chooseDurability(connection: Connection, platform: string = process.platform): Durability {
  if (connection.file && platform === "linux") return new GroupSync(connection, connection.file)
  return new FullCommit(connection)
}

/** One commit at FULL syncs the WAL with everything before it. */
class FullCommit implements Durability {
  // What an earlier process recorded may not be on disk yet.
  #dirty = true

  constructor(readonly connection: Connection) {}

  mark(): void {
    this.#dirty = true
  }

  async durable(): Promise<void> {
    if (!this.#dirty) return
    const { db } = this.connection
    if (db.inTransaction)
      throw new SturdyError(
        "busy",
        "the host's transaction is still open: its ops are not committed, so they cannot be durable yet",
        "Call durable() after the host's transaction has committed.",
      )
    const { journal_mode } = db.prepare("pragma journal_mode").get() as { journal_mode: string }
    const { synchronous } = db.prepare("pragma synchronous").get() as { synchronous: number }
    if (journal_mode === "memory" || journal_mode === "off" || synchronous < 1)
      throw new SturdyError(
        "database_unsafe",
        `the host's database uses journal_mode=${journal_mode} and synchronous=${synchronous}: it survives no power loss`,
        "Use journal_mode=WAL with synchronous=NORMAL or FULL, or give the outbox its own file.",
      )
    db.run("pragma fullfsync = 1")
    db.run("pragma synchronous = full")
    try {
      this.connection.transact("sync", () => {
        // A row written as it was leaves no frame, and such a commit syncs nothing (seen with strace): move it and back.
        db.run("update sturdy_meta set id = 2 where id = 1")
        db.run("update sturdy_meta set id = 1 where id = 2")
      })
      this.#dirty = false
    } finally {
      db.run(`pragma synchronous = ${synchronous}`)
    }
  }

  /** Its syncs are SQLite's own, and so is what comes of one that fails. */
  doubt(): void {}

  repair(): boolean {
    return true
  }

  walBytes(): undefined {
    return undefined
  }

  async close(): Promise<void> {}
}
