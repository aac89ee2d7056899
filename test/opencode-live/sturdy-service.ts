/** Sturdy's own share service, on a file, read as anyone reads a share and, for what ever reached it, from its database. */
import { deserialize } from "capnweb"
import { serveShareService } from "../../src/service/index.ts"
import { canonical, type Json, type JsonObject } from "./json.ts"
import { itemKey } from "./legacy-service.ts"
import type { HeldShare, InnerService } from "./service.ts"

interface ShareRow {
  id: number
  share_id: string
  session_id: string
  time_removed: number | null
}

/** Methods whose argument is a state that the trials look for. */
const types: Record<string, string> = { "session.put": "session", "message.put": "message", "part.put": "part" }

export function openSturdyService(file: string): InnerService {
  let service = serveShareService({ file })

  async function held(row: ShareRow): Promise<HeldShare> {
    const { share_id, session_id } = row
    const response = await fetch(`${service.url}/api/share/${share_id}/data`)
    const list = response.ok ? ((await response.json()) as { type: string; data: JsonObject }[]) : []
    return {
      share_id,
      session_id,
      open: row.time_removed === null,
      items: new Map<string, Json>(list.map(({ type, data }) => [itemKey(type, data), data])),
      stored: stored(row.id),
      turns: turns(row.id),
    }
  }

  function stored(share: number): Map<string, Set<string>> {
    const states = new Map<string, Set<string>>()
    const rows = service.sql.all<{ method: string; codec: string; args: string }>(
      `SELECT method, codec, args FROM applied WHERE share = ? ORDER BY position`,
      share,
    )
    for (const { method, codec, args } of rows) {
      const type = types[method]
      if (!type) continue
      const [state] = (codec === "json" ? JSON.parse(args) : deserialize(args)) as [JsonObject]
      const key = itemKey(type, state)
      states.set(key, (states.get(key) ?? new Set()).add(canonical(state)))
    }
    return states
  }

  function turns(share: number): Map<string, string> {
    const rows = service.sql.all<{ item_id: string; data: string }>(
      `SELECT item_id, data FROM item WHERE share = ? AND type = 'turn' AND data IS NOT NULL`,
      share,
    )
    return new Map(rows.map(({ item_id, data }) => [item_id, String((JSON.parse(data) as JsonObject).state)]))
  }

  return {
    get url() {
      return service.url
    },
    get changes() {
      const count = (table: string) => service.sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n
      return count("applied") + count("share") + count("share WHERE time_removed IS NOT NULL")
    },
    async shares() {
      const rows = service.sql.all<ShareRow>(`SELECT id, share_id, session_id, time_removed FROM share ORDER BY id`)
      return Promise.all(rows.map(held))
    },
    async restart() {
      const { port } = service
      await service.stop()
      service = serveShareService({ file, port })
    },
    [Symbol.asyncDispose]: () => service.stop(),
  }
}
