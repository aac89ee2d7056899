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
  /** Only what names it and the thing that it is about: its payload may have megabytes. */
  event: BusEvent
}

interface LoggedRow {
  id: string
  seq: number
  type: string
  session_id: string | null
  info_id: string | null
  info_session_id: string | null
  role: string | null
  part_id: string | null
  part_message_id: string | null
  part_session_id: string | null
  removed_message_id: string | null
  removed_part_id: string | null
}

export interface SessionPlace {
  directory: string
  project_id: string
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
  session: ["id", "directory", "project_id"],
  session_share: ["session_id", "id", "secret", "url"],
} as const

/** Stored types carry the version of their payload. */
const logged_type = /^([a-z_.]+)\.1$/

const after_sql = `select id, seq, type, data ->> '$.sessionID' as session_id,
    data ->> '$.info.id' as info_id, data ->> '$.info.sessionID' as info_session_id, data ->> '$.info.role' as role,
    data ->> '$.part.id' as part_id, data ->> '$.part.messageID' as part_message_id,
    data ->> '$.part.sessionID' as part_session_id,
    data ->> '$.messageID' as removed_message_id, data ->> '$.partID' as removed_part_id
  from event where aggregate_id = ? and seq > ? order by seq limit ?`

export class EventLog implements Disposable {
  readonly #db: Database
  readonly #version: number

  private constructor(
    readonly path: string,
    db: Database,
  ) {
    this.#db = db
    this.#version = versionOf(db)
  }

  /** Its schema is another one since it was opened, or cannot be asked for: it is to be opened anew. */
  get isChanged(): boolean {
    try {
      return versionOf(this.#db) !== this.#version
    } catch {
      return true
    }
  }

  /** Undefined if there is no such file, or it is not the database that is known here. */
  static open(path: string): EventLog | undefined {
    if (!existsSync(path)) return
    let db: Database | undefined
    try {
      db = new Database(path, { readonly: true })
      if (isKnown(db)) return new EventLog(path, db)
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
    const rows = this.#db.query<LoggedRow, [string, number, number]>(after_sql).all(session_id, seq, limit)
    const events = rows.flatMap((row) => {
      const [, type] = logged_type.exec(row.type) ?? []
      return type ? [{ seq: row.seq, event: { id: row.id, type, properties: propertiesOf(row) } }] : []
    })
    return events.length === rows.length ? events : undefined
  }

  /** Where the session lives; undefined if there is no such session. */
  placeOf(session_id: string): SessionPlace | undefined {
    const row = this.#db
      .query<SessionPlace, [string]>("select directory, project_id from session where id = ?")
      .get(session_id)
    return row ?? undefined
  }

  directoryOf(session_id: string): string | undefined {
    return this.placeOf(session_id)?.directory
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

/** SQLite's own count of changes of the schema. */
function versionOf(db: Database): number {
  return db.query<{ schema_version: number }, []>("pragma schema_version").get()!.schema_version
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

function propertiesOf(row: LoggedRow): BusEvent["properties"] {
  return {
    sessionID: row.session_id,
    ...(row.info_id !== null && { info: { id: row.info_id, sessionID: row.info_session_id, role: row.role } }),
    ...(row.part_id !== null && {
      part: { id: row.part_id, messageID: row.part_message_id, sessionID: row.part_session_id },
    }),
    ...(row.removed_message_id !== null && { messageID: row.removed_message_id }),
    ...(row.removed_part_id !== null && { partID: row.removed_part_id }),
  }
}
