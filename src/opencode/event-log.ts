/**
 * A look into opencode's own database, read-only: its durable events, the sessions that are there, the shares that its
 * built-in client knows. It is internal to opencode and may change: where the schema is not the one that was seen in
 * 1.18, there is no look, and a catch-up compares states instead.
 *
 * A second handle on a file that this process has open is safe here, since opencode uses the same SQLite (Bun's):
 * locks are kept per file and process inside of it.
 */
import { Database } from "bun:sqlite"
import { existsSync } from "node:fs"
import type { BusEvent } from "./event.ts"

export interface LoggedEvent {
  /** Place in the session's log: from 0, without gaps. */
  seq: number
  event: BusEvent
}

/** A share as opencode's client keeps it. */
export interface KnownShare {
  session_id: string
  id: string
  secret: string
  url: string
}

/** Columns that are read, by table. */
const columns = {
  event: ["id", "aggregate_id", "seq", "type", "data"],
  event_sequence: ["aggregate_id", "seq"],
  session: ["id", "directory"],
  session_share: ["session_id", "id", "secret", "url"],
} as const

/** Stored types carry the version of their payload. */
const logged_type = /^([a-z_.]+)\.1$/

export class EventLog implements Disposable {
  readonly #db: Database

  private constructor(db: Database) {
    this.#db = db
  }

  /** Undefined if there is no such file, or it is not the database that is known here. */
  static open(path: string): EventLog | undefined {
    if (!existsSync(path)) return
    let db: Database | undefined
    try {
      db = new Database(path, { readonly: true })
      if (isKnown(db)) return new EventLog(db)
    } catch {
      // Locked, damaged, not SQLite: whatever it is, it is not ours to judge.
    }
    db?.close()
    return
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }

  /** Seq of the session's last durable event; -1 if it has none. */
  lastSeq(session_id: string): number {
    const row = this.#db
      .query<{ seq: number }, [string]>("select seq from event_sequence where aggregate_id = ?")
      .get(session_id)
    return row?.seq ?? -1
  }

  /** A page of the session's durable events after `seq`; undefined if one is of a form that is not known here. */
  after(session_id: string, seq: number, limit: number): LoggedEvent[] | undefined {
    const rows = this.#db
      .query<{ id: string; seq: number; type: string; data: string }, [string, number, number]>(
        "select id, seq, type, data from event where aggregate_id = ? and seq > ? order by seq limit ?",
      )
      .all(session_id, seq, limit)
    const events = rows.flatMap(({ id, seq, type, data }) => {
      const properties: unknown = parsed(data)
      const [, name] = logged_type.exec(type) ?? []
      if (!name || typeof properties !== "object" || properties === null) return []
      return [{ seq, event: { id, type: name, properties: properties as Record<string, unknown> } }]
    })
    return events.length === rows.length ? events : undefined
  }

  /** Where the session lives; undefined if there is no such session. */
  directoryOf(session_id: string): string | undefined {
    const row = this.#db
      .query<{ directory: string }, [string]>("select directory from session where id = ?")
      .get(session_id)
    return row?.directory
  }

  /** The shares of sessions that are there. */
  shares(): KnownShare[] {
    return this.#db
      .query<KnownShare, []>(
        `select share.session_id, share.id, share.secret, share.url
         from session_share share join session on session.id = share.session_id`,
      )
      .all()
  }
}

function isKnown(db: Database): boolean {
  return Object.entries(columns).every(([table, wanted]) => {
    const there = new Set(
      db
        .query<{ name: string }, [string]>("select name from pragma_table_info(?)")
        .all(table)
        .map(({ name }) => name),
    )
    return wanted.every((name) => there.has(name))
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return
  }
}
