/**
 * What was captured from a host before: events by capture_id, items by key, places by source. All of it is written in
 * the transaction that records, so a capture that was repeated or cut short changes nothing.
 */
import type { Statement } from "bun:sqlite"
import type { Connection } from "./connection.ts"
import { idBlob, idText } from "./id-blob.ts"
import { contentHash, type NewOp } from "./new-op.ts"

/** How far a source was captured. */
export interface Bookmark {
  source: string
  place: number
  /** What stands at that place, e.g. an event id. */
  mark?: string
}

export interface ResolvedOp {
  op_id: string
  /** The op to write; undefined if an earlier one stands for it. */
  fresh: NewOp | undefined
}

interface ItemRow {
  first_op_id: Uint8Array
  op_id: Uint8Array
  content_hash: Uint8Array
}

export class Captures {
  readonly #capture: Statement<{ op_id: Uint8Array | null }>
  readonly #insertCapture: Statement
  readonly #item: Statement<ItemRow>
  readonly #items: Statement<{ key: string; op_id: Uint8Array }>
  readonly #putItem: Statement
  readonly #endItems: Statement
  readonly #bookmark: Statement<{ place: number; mark: string | null }>
  readonly #putBookmark: Statement

  constructor(readonly connection: Connection) {
    const { db } = connection
    this.#capture = db.prepare("select op_id from sturdy_capture where stream_id = ? and capture_id = ?")
    this.#insertCapture = db.prepare("insert into sturdy_capture (stream_id, capture_id, op_id) values (?, ?, ?)")
    this.#item = db.prepare("select first_op_id, op_id, content_hash from sturdy_item where stream_id = ? and key = ?")
    this.#items = db.prepare("select key, op_id from sturdy_item where stream_id = ? order by key")
    this.#putItem = db.prepare(
      `insert into sturdy_item (stream_id, key, first_op_id, op_id, content_hash) values (?1, ?2, ?3, ?3, ?4)
       on conflict do update set op_id = excluded.op_id, content_hash = excluded.content_hash`,
    )
    this.#endItems = db.prepare("delete from sturdy_item where stream_id = ? and key >= ? and key < ?")
    this.#bookmark = db.prepare("select place, mark from sturdy_bookmark where source = ?")
    this.#putBookmark = db.prepare(
      `insert into sturdy_bookmark (source, place, mark, time_updated) values (?, ?, ?, ?)
       on conflict do update set place = excluded.place, mark = excluded.mark, time_updated = excluded.time_updated
       where excluded.place >= place`,
    )
  }

  bookmark(source: string): Bookmark | undefined {
    const row = this.connection.read("read bookmark", () => this.#bookmark.get(source))
    return row ? { source, place: row.place, ...(row.mark !== null && { mark: row.mark }) } : undefined
  }

  /** The place only grows. */
  moveBookmark({ source, place, mark }: Bookmark): void {
    this.#putBookmark.run(source, place, mark ?? null, this.connection.seams.clock.now())
  }

  /** The op that stands for a captured event; none if it was noted as stale before anything of its key was recorded. */
  captured(stream_id: number, capture_id: string): { op_id: string | undefined } | undefined {
    const row = this.connection.read("read captures", () => this.#capture.get(stream_id, capture_id))
    return row ? { op_id: row.op_id ? idText(row.op_id) : undefined } : undefined
  }

  /** The latest op of every key of the stream, of those recorded with `only_if_changed`. */
  items(stream_id: number): Map<string, string> {
    const rows = this.connection.read("read items", () => this.#items.all(stream_id))
    return new Map(rows.map(({ key, op_id }) => [key, idText(op_id)]))
  }

  latest(stream_id: number, key: string): string | undefined {
    const item = this.connection.read("read items", () => this.#item.get(stream_id, key))
    return item ? idText(item.op_id) : undefined
  }

  /** Decides for each op whether it is written, and writes captures and items for it. In the recording transaction. */
  resolve(stream_id: number, unit: readonly NewOp[]): ResolvedOp[] {
    const standIns = new Map<string, string>()
    return unit.map((asked) => {
      const captured = asked.capture_id === undefined ? null : this.#capture.get(stream_id, asked.capture_id)
      if (captured) return standIn(standIns, asked, captured.op_id)
      if (this.#isStale(stream_id, asked)) return standIn(standIns, asked, this.#skip(stream_id, asked))
      const op = this.#withDependencies(stream_id, renamed(asked, standIns))
      const unchanged = this.#unchanged(stream_id, op)
      if (op.capture_id !== undefined) this.#insertCapture.run(stream_id, op.capture_id, unchanged ?? idBlob(op.op_id))
      if (unchanged) return standIn(standIns, asked, unchanged)
      if (op.ends_keys !== undefined) this.#endItems.run(stream_id, op.ends_keys, `${op.ends_keys}\u{10ffff}`)
      return { op_id: op.op_id, fresh: op }
    })
  }

  #isStale(stream_id: number, { stale }: NewOp): boolean {
    if (typeof stale === "boolean") return stale
    return stale((key) => this.latest(stream_id, key))
  }

  /** The op of newer state stands for one that came too late. */
  #skip(stream_id: number, op: NewOp): Uint8Array | null {
    const newer = op.key === undefined ? null : this.#item.get(stream_id, op.key)
    if (op.capture_id !== undefined) this.#insertCapture.run(stream_id, op.capture_id, newer?.op_id ?? null)
    return newer?.op_id ?? null
  }

  #withDependencies(stream_id: number, op: NewOp): NewOp {
    const found = op.depends_on_keys.flatMap((key) => {
      const item = this.#item.get(stream_id, key)
      return item ? [idText(item.first_op_id)] : []
    })
    return found.length ? { ...op, depends_on: [...new Set([...op.depends_on, ...found])] } : op
  }

  /** The op_id of the latest op with this key if its content is the same; otherwise remembers this op as the latest. */
  #unchanged(stream_id: number, op: NewOp): Uint8Array | undefined {
    if (op.key === undefined || op.only_if_changed === false) return
    const hash = contentHash(op)
    const item = this.#item.get(stream_id, op.key)
    if (item && Buffer.compare(item.content_hash, hash) === 0) return item.op_id
    this.#putItem.run(stream_id, op.key, idBlob(op.op_id), hash)
    return
  }
}

function standIn(standIns: Map<string, string>, asked: NewOp, by: Uint8Array | null): ResolvedOp {
  const op_id = by ? idText(by) : asked.op_id
  standIns.set(asked.op_id, op_id)
  return { op_id, fresh: undefined }
}

/** Ops of the unit that refer to one that was skipped refer to the op that stands for it. */
function renamed(op: NewOp, standIns: Map<string, string>): NewOp {
  if (!op.depends_on.some((op_id) => standIns.has(op_id))) return op
  const name = (op_id: string) => standIns.get(op_id) ?? op_id
  return {
    ...op,
    depends_on: op.depends_on.map(name),
    references: op.references.map(name),
    args: op.references.reduce(
      (args, op_id) => args.replaceAll(`["$ref","${op_id}"`, `["$ref","${name(op_id)}"`),
      op.args,
    ),
    ...(op.target && { target: [name(op.target[0]), ...op.target.slice(1)] as NewOp["target"] & {} }),
  }
}
