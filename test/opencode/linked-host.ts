/** A program that links Sturdy in the place of opencode's own share client, and the share service that it shares to. */
import { Database } from "bun:sqlite"
import type { Outbox } from "../../src/index.ts"
import { type LinkedShareSync, shareSync, type ShareSyncLink } from "../../src/opencode/drop-in.ts"
import type { BusEvent } from "../../src/opencode/event.ts"
import type { Notice } from "../../src/opencode/notice.ts"
import { serveShareService } from "../../src/service/bun.ts"
import { openFaultProxy } from "../../src/testing/index.ts"
import { tempDir } from "../temp-dir.ts"
import { withoutShare } from "./reference.ts"
import { SessionStore } from "./session-store.ts"

export interface ShownItem {
  type: string
  data: Record<string, unknown>
}

export function hostDatabase(file: string): Database {
  const database = new Database(file)
  database.run("pragma journal_mode = wal")
  database.run("create table if not exists migration (id text primary key, time_completed integer)")
  return database
}

export type Linking = Partial<Omit<ShareSyncLink, "service">>

/** One process of the host: its store, its bus, and the linked client. */
export function openHost(database: Database, service: string, linking: Linking = {}) {
  const store = new SessionStore(database)
  const notices: Notice[] = []
  const listeners: ((event: BusEvent) => void)[] = []
  const sync: LinkedShareSync = shareSync({
    outbox: { database, migrationTable: "migration" },
    service,
    sessions: store,
    notify: (notice) => void notices.push(notice),
    ...linking,
  })
  return {
    store,
    sync,
    notices,
    init: () => sync.init({ subscribeAll: (listener) => listeners.push(listener) }),
    /** Announces the event, in its turn. */
    publish: (event: BusEvent) => listeners.forEach((listener) => listener(event)),
    /** Commits what the events say, and announces them. */
    play(...events: BusEvent[]) {
      for (const event of events) {
        store.commit(event)
        this.publish(event)
      }
    },
    /** Until it holds, looked at whenever something happens in the outbox. */
    until: (holds: () => boolean | Promise<boolean>) => until(sync.outbox, holds),
  }
}

/** A service that can be away: behind a proxy that does not listen then. */
export async function switchedService(file: string) {
  const running = serveShareService({ file })
  const proxy = await openFaultProxy({ to: running.url })
  return {
    url: proxy.url,
    /** What a reader gets: the items, or the status of an error. */
    async list(share_id: string): Promise<ShownItem[] | number> {
      const response = await fetch(`${running.url}/api/share/${share_id}/data`)
      return response.ok ? ((await response.json()) as ShownItem[]) : response.status
    },
    down: () => proxy.down(),
    up: () => proxy.up(),
    /** Every turn's state, by the id of its message. */
    turns: () =>
      Object.fromEntries(
        running.sql
          .all<{ item_id: string; data: string }>(
            "SELECT item_id, data FROM item WHERE type = 'turn' AND data IS NOT NULL ORDER BY item_id",
          )
          .map(({ item_id, data }) => [item_id, (JSON.parse(data) as { state: string }).state]),
      ),
    /** Texts of every op that ever came. */
    received: () =>
      running.sql.all<{ args: string }>("SELECT args FROM applied ORDER BY share, position").map(({ args }) => args),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await running.stop()
    },
  }
}

/** Host and service in a folder of their own. */
export async function linkedBox(linking: Linking | ((service: string) => Linking) = {}) {
  const dir = tempDir()
  const service = await switchedService(dir.file("share.db"))
  const database = hostDatabase(dir.file("host.db"))
  const host = openHost(database, service.url, typeof linking === "function" ? linking(service.url) : linking)
  return {
    ...host,
    dir,
    service,
    database,
    /** What the session's share shows, as `shownState` has it. */
    async shown(session_id: string) {
      const stream = host.sync.outbox.streams().findLast(({ name }) => name.split("/")[0] === session_id)
      const items = stream ? await service.list(stream.status().share_id) : 404
      return typeof items === "number" ? items : shownState(items)
    },
    async [Symbol.asyncDispose]() {
      await host.sync.outbox.close({ flush_ms: 0 })
      await service[Symbol.asyncDispose]()
      database.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** As `readFinal` has the final state of a recording. */
export function shownState(items: ShownItem[]): Record<string, unknown> {
  return Object.fromEntries(
    items
      .filter(({ type }) => type === "session" || type === "message" || type === "part")
      .map(({ type, data }) => {
        if (type === "session") return ["session", withoutShare(data)]
        return type === "message" ? [`message ${data.id}`, data] : [`part ${data.messageID} ${data.id}`, data]
      }),
  )
}

/** The same of what the host holds. */
export function heldState(store: SessionStore, session_id: string): Record<string, unknown> {
  const messages = store
    .messages(session_id)
    .flatMap(({ info, parts }) => [
      { type: "message", data: info },
      ...parts.map((part) => ({ type: "part", data: part })),
    ])
  return shownState([{ type: "session", data: store.get(session_id)! }, ...messages] as ShownItem[])
}

async function until(outbox: Outbox, holds: () => boolean | Promise<boolean>): Promise<void> {
  let changed = Promise.withResolvers<void>()
  const unlisten = outbox.onAny(() => changed.resolve())
  try {
    while (!(await holds())) {
      await changed.promise
      changed = Promise.withResolvers<void>()
    }
  } finally {
    unlisten()
  }
}
