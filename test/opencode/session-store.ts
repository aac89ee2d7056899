/** A host's sessions in its own database, as opencode has them: an event is announced after what it says was committed. */
import type { Database } from "bun:sqlite"
import type { HostSessions } from "../../src/opencode/drop-in.ts"
import type { BusEvent } from "../../src/opencode/event.ts"

type Properties = Record<string, Record<string, unknown>>

export class SessionStore implements HostSessions {
  constructor(readonly database: Database) {
    for (const table of [
      "session (id text primary key, parent_id text, info text)",
      "diff (id text primary key, diff text)",
    ])
      database.run(`create table if not exists ${table}`)
    database.run("create table if not exists message (id text primary key, session_id text, info text)")
    database.run("create table if not exists part (id text primary key, message_id text, part text)")
  }

  /** Commits what the event announces. */
  commit({ type, properties }: BusEvent): void {
    const { info, part, diff } = properties as Properties
    const { sessionID, messageID, partID } = properties as Record<string, string>
    const run = (sql: string, ...values: unknown[]) => void this.database.query(sql).run(...(values as string[]))
    const replace = "on conflict do update set"
    if (type === "session.created" || type === "session.updated")
      run(
        `insert into session values (?, ?, ?) ${replace} info = excluded.info`,
        info!.id,
        info!.parentID ?? null,
        textOf(info),
      )
    if (type === "message.updated")
      run(`insert into message values (?, ?, ?) ${replace} info = excluded.info`, info!.id, sessionID, textOf(info))
    if (type === "message.part.updated")
      run(`insert into part values (?, ?, ?) ${replace} part = excluded.part`, part!.id, part!.messageID, textOf(part))
    if (type === "session.diff")
      run(`insert into diff values (?, ?) ${replace} diff = excluded.diff`, sessionID, textOf(diff))
    if (type === "message.part.removed") run("delete from part where id = ?", partID)
    if (type === "message.removed") {
      run("delete from part where message_id = ?", messageID)
      run("delete from message where id = ?", messageID)
    }
    if (type === "session.deleted") run("delete from session where id = ?", sessionID)
  }

  get(session_id: string): object | undefined {
    return this.#texts("select info as text from session where id = ?", session_id)[0]
  }

  messages(session_id: string) {
    const ids = this.#rows("select id as text from message where session_id = ? order by id", session_id)
    return ids.map((id) => ({
      info: this.#texts("select info as text from message where id = ?", id)[0]!,
      parts: this.#texts("select part as text from part where message_id = ? order by id", id),
    }))
  }

  diff(session_id: string): object[] | undefined {
    return this.#texts("select diff as text from diff where id = ?", session_id)[0] as object[] | undefined
  }

  children(session_id: string): string[] {
    return this.#rows("select id as text from session where parent_id = ?", session_id)
  }

  #texts(sql: string, id: string): object[] {
    return this.#rows(sql, id).map((text) => JSON.parse(text) as object)
  }

  #rows(sql: string, id: string): string[] {
    return this.database
      .query<{ text: string }, [string]>(sql)
      .all(id)
      .map(({ text }) => text)
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value)
}
