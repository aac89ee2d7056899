/**
 * A stand-in for opencode 1.18 around the real plugin: what is not ours, with the same order of things (a change is
 * committed to its database, then announced to the plugin, synchronously) and the same tables. The real program is tried
 * by `npm run test:opencode`.
 */
import { Database } from "bun:sqlite"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { OpencodeClient } from "../../src/opencode/client.ts"
import type { BusEvent } from "../../src/opencode/event.ts"
import plugin from "../../src/opencode/server.ts"

type Json = Record<string, unknown>

interface Session {
  info: Json
  messages: Map<string, { info: Json; parts: Map<string, Json> }>
}

const schema = `
  create table session (id text primary key, directory text not null, project_id text not null);
  create table session_share (session_id text primary key, id text, secret text, url text);
  create table event_sequence (aggregate_id text primary key, seq integer);
  create table event (id text primary key, aggregate_id text, seq integer, type text, data text);`

let made = 0
/** Unique, and of opencode's form. */
export const newId = (kind: string): string => `${kind}_${String(++made).padStart(8, "0")}`

export class StandIn implements Disposable {
  readonly db: Database
  readonly directory: string
  readonly sessions = new Map<string, Session>()
  readonly toasts: string[] = []
  /** What is changed while this is set is announced to nobody: the plugin is not there, or opencode dies. */
  deaf = false
  config: Json = {}
  /** Calls of the client that fail from now on. */
  silent = false
  hooks: Awaited<ReturnType<typeof plugin.server>> = {}

  constructor(
    folder: string,
    readonly options: Json = {},
  ) {
    this.directory = join(folder, "work")
    mkdirSync(join(folder, "opencode"), { recursive: true })
    this.db = new Database(join(folder, "opencode", "opencode.db"))
    this.db.run("pragma journal_mode = wal")
    for (const statement of schema.split(";").filter((text) => text.trim())) this.db.run(statement)
  }

  /** Loads the plugin as opencode does: set up, then its config hook. */
  async load(config: Json = {}): Promise<void> {
    this.config = config
    const input = { client: this.client, directory: this.directory, project: { id: "project" } }
    this.hooks = await plugin.server(input, this.options)
    await this.hooks.config?.(this.config)
  }

  get client(): OpencodeClient {
    const answer = async (data: unknown) => {
      if (this.silent) throw new Error("opencode does not answer")
      return data === undefined
        ? { error: {}, response: new Response(null, { status: 404 }) }
        : { data: structuredClone(data), response: new Response() }
    }
    const sessionOf = (input: unknown) => this.sessions.get((input as { path: { id: string } }).path.id)
    return {
      session: {
        get: (input) => answer(sessionOf(input)?.info),
        messages: (input) =>
          answer(
            [...(sessionOf(input)?.messages.values() ?? [])].map(({ info, parts }) => ({
              info,
              parts: [...parts.values()],
            })),
          ),
        children: (input) =>
          answer(
            [...this.sessions.values()]
              .map(({ info }) => info)
              .filter(({ parentID }) => parentID === (input as { path: { id: string } }).path.id),
          ),
      },
      config: {
        providers: () =>
          answer({
            providers: [
              {
                id: "acme",
                models: {
                  large: {
                    id: "large",
                    name: "Large",
                    options: { apiKey: "s3cr3t" },
                    headers: { authorization: "s3cr3t" },
                  },
                },
              },
            ],
          }),
      },
      app: { log: () => answer(true) },
      tui: {
        showToast: async (input) => (this.toasts.push((input as { body: { message: string } }).body.message), {}),
      },
    }
  }

  session(more: Json = {}): string {
    const id = newId("ses")
    const place = { directory: this.directory, projectID: "project" }
    const info = { id, ...place, title: "A session", time: { created: 1, updated: 1 }, ...more }
    this.sessions.set(id, { info, messages: new Map() })
    this.db.query("insert into session values (?, ?, ?)").run(id, info.directory, info.projectID)
    this.publish("session.created", { sessionID: id, info })
    return id
  }

  retitle(session_id: string, title: string): void {
    const session = this.sessions.get(session_id)!
    session.info = { ...session.info, title }
    this.publish("session.updated", { sessionID: session_id, info: session.info })
  }

  /** A message of the user with one text; returns its id. */
  say(session_id: string, text: string): string {
    const id = newId("msg")
    const model = { providerID: "acme", modelID: "large" }
    this.putMessage(session_id, { id, sessionID: session_id, role: "user", time: { created: 1 }, model })
    this.putPart(session_id, { id: newId("prt"), messageID: id, sessionID: session_id, type: "text", text })
    return id
  }

  /** An answer that is begun; `completed` ends it. */
  answer(session_id: string, text: string, completed = true): string {
    const id = newId("msg")
    const info = { id, sessionID: session_id, role: "assistant", time: { created: 1 } }
    this.putMessage(session_id, info)
    this.putPart(session_id, { id: newId("prt"), messageID: id, sessionID: session_id, type: "text", text })
    if (completed) this.putMessage(session_id, { ...info, time: { created: 1, completed: 2 } })
    return id
  }

  putMessage(session_id: string, info: Json): void {
    const { messages } = this.sessions.get(session_id)!
    messages.set(String(info.id), { info, parts: messages.get(String(info.id))?.parts ?? new Map() })
    this.publish("message.updated", { sessionID: session_id, info })
  }

  putPart(session_id: string, part: Json): void {
    this.sessions.get(session_id)!.messages.get(String(part.messageID))!.parts.set(String(part.id), part)
    this.publish("message.part.updated", { sessionID: session_id, part, time: 1 })
  }

  removeMessage(session_id: string, messageID: string): void {
    this.sessions.get(session_id)!.messages.delete(messageID)
    this.publish("message.removed", { sessionID: session_id, messageID })
  }

  delete(session_id: string): void {
    const { info } = this.sessions.get(session_id)!
    this.sessions.delete(session_id)
    for (const table of ["session where id", "session_share where session_id", "event where aggregate_id"])
      this.db.query(`delete from ${table} = ?`).run(session_id)
    this.announce({ id: newId("evt"), type: "session.deleted", properties: { sessionID: session_id, info } })
  }

  idle(session_id: string): void {
    this.announce({ id: newId("evt"), type: "session.idle", properties: { sessionID: session_id } })
  }

  /** What opencode's own share client does: asks whom it is told to ask, and keeps the answer. */
  async share(session_id: string): Promise<{ id: string; url: string; secret: string } | undefined> {
    const response = await this.#ask("POST", "/api/share", { sessionID: session_id })
    if (!response.ok) return
    const share = (await response.json()) as { id: string; url: string; secret: string }
    this.db
      .query("insert or replace into session_share values (?, ?, ?, ?)")
      .run(session_id, share.id, share.secret, share.url)
    return share
  }

  /** False if it failed: then opencode keeps the share. */
  async unshare(session_id: string): Promise<boolean> {
    const row = this.db
      .query<{ id: string; secret: string }, [string]>("select id, secret from session_share where session_id = ?")
      .get(session_id)!
    const response = await this.#ask("DELETE", `/api/share/${row.id}`, { secret: row.secret })
    if (response.ok) this.db.query("delete from session_share where session_id = ?").run(session_id)
    return response.ok
  }

  publish(type: string, properties: Json): void {
    const event = { id: newId("evt"), type, properties }
    const sessionID = String(properties.sessionID)
    this.db.transaction(() => {
      const { seq } = this.db
        .query<{ seq: number }, [string]>(
          `insert into event_sequence values (?, 0) on conflict do update set seq = seq + 1 returning seq`,
        )
        .get(sessionID)!
      this.db
        .query("insert into event values (?, ?, ?, ?, ?)")
        .run(event.id, sessionID, seq, `${type}.1`, JSON.stringify(properties))
    })()
    this.announce(event)
  }

  announce(event: BusEvent): void {
    if (!this.deaf) void this.hooks.event?.({ event })
  }

  async #ask(method: string, path: string, body: Json): Promise<Response> {
    const { url } = this.config.enterprise as { url: string }
    return fetch(`${url}${path}`, {
      method,
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    })
  }

  [Symbol.dispose](): void {
    this.db.close()
  }
}
