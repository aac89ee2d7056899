/** What an opencode share shows: one item per type and id, the newest op wins. */
import type { HandlerContext } from "./handler.ts"
import type { Sql } from "./sql-port.ts"

type ItemType = "session" | "message" | "part" | "session_diff" | "model" | "turn"

export interface ItemKey {
  type: ItemType
  id: string
  /** Of a part. */
  message_id?: string
}

/** Where items are written, within a transaction; `position`: share-wide, of the last op that it may show. */
export type ItemPlace = Pick<HandlerContext, "sql" | "share" | "position">

/** Longest id of an item, in UTF-16 code units; opencode's have 30. */
const id_length_max = 256

/** Control characters: SQLite ends some texts at a NUL. */
export function isItemId(id: unknown): id is string {
  return typeof id === "string" && id !== "" && id.length <= id_length_max && !/\p{Cc}/u.test(id)
}

/** Writes an item, or with `data` null removes it: what stays is the knowledge that an op did it. */
export function putItem(context: ItemPlace, key: ItemKey, data: string | null): void {
  context.sql.run(
    `INSERT INTO item (share, type, item_id, message_id, position, written_by_op, data) VALUES (?, ?, ?, ?, ?, 1, ?)
     ON CONFLICT (share, type, item_id) DO UPDATE SET
       message_id = excluded.message_id, position = excluded.position, written_by_op = 1, data = excluded.data`,
    context.share,
    key.type,
    key.id,
    key.message_id ?? null,
    context.position,
    data,
  )
}

/** Writes an item of which no op has said anything: what an op wrote or removed stays as it is. */
export function syncItem({ sql, share, position }: ItemPlace, key: ItemKey, data: string): void {
  sql.run(
    `INSERT INTO item (share, type, item_id, message_id, position, written_by_op, data) VALUES (?, ?, ?, ?, ?, 0, ?)
     ON CONFLICT (share, type, item_id) DO UPDATE SET
       message_id = excluded.message_id, position = excluded.position, data = excluded.data
     WHERE written_by_op = 0`,
    share,
    key.type,
    key.id,
    key.message_id ?? null,
    position,
    data,
  )
}

/** Its parts and its turn go with it. A part that comes later is kept, and not shown before the message is put again. */
export function removeMessage(context: ItemPlace, id: string): void {
  putItem(context, { type: "message", id }, null)
  context.sql.run(
    `UPDATE item SET position = ?, written_by_op = 1, data = NULL WHERE share = ? AND message_id = ? AND type = 'part'`,
    context.position,
    context.share,
    id,
  )
  context.sql.run(
    `UPDATE item SET position = ?, written_by_op = 1, data = NULL WHERE share = ? AND type = 'turn' AND item_id = ?`,
    context.position,
    context.share,
    id,
  )
}

/** JSON text of the array of `{type, data}` that opencode's share page reads; `data` byte for byte as it was put. */
export function readItems(sql: Sql, share: number): string {
  const rows = sql.all<{ type: ItemType; data: string }>(
    `SELECT type, data FROM item i
     WHERE share = ? AND data IS NOT NULL AND type IN ('session', 'message', 'part', 'session_diff')
       AND NOT EXISTS (
         SELECT 1 FROM item m
         WHERE m.share = i.share AND m.type = 'message' AND m.item_id = i.message_id AND m.data IS NULL
       )
     ORDER BY CASE type WHEN 'session' THEN 0 WHEN 'message' THEN 1 WHEN 'part' THEN 2 ELSE 3 END, message_id, item_id`,
    share,
  )
  const entries = rows.map(({ type, data }) => `{"type":"${type}","data":${data}}`)
  const models = readModels(sql, share)
  if (models !== undefined) entries.push(`{"type":"model","data":${models}}`)
  return `[${entries.join(",")}]`
}

/** One array of all models of all providers; undefined if none was ever put. */
function readModels(sql: Sql, share: number): string | undefined {
  const rows = sql.all<{ data: string }>(
    `SELECT data FROM item WHERE share = ? AND type = 'model' AND data IS NOT NULL ORDER BY item_id`,
    share,
  )
  if (!rows.length) return
  return `[${rows
    .map(({ data }) => data.slice(1, -1))
    .filter((inner) => inner !== "")
    .join(",")}]`
}
