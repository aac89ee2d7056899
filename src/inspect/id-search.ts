/**
 * Ids as people type them: whole, or the beginning of one. No index serves op_ids (it would cost every record), so the
 * ops are looked through: half a second per million.
 */
import type { Database } from "bun:sqlite"
import { ulidFromBytes, ulidToBytes } from "../intent/ulid.ts"

/** An op, also one of which only a dead letter or the note of its replacement is left; or a batch. */
export interface KnownId {
  kind: "op" | "batch"
  id: string
  /** Global place: of the op, or of the first one of the batch. */
  seq: number
}

interface OpPlace {
  op_id: Uint8Array
  seq: number
}

const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** As it is stored: upper case, and what Crockford's base32 takes for another letter. */
export function canonicalPrefix(typed: string): string {
  return typed.toUpperCase().replaceAll("O", "0").replace(/[IL]/g, "1")
}

/** Can an id begin like this? */
export function isIdPrefix(prefix: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{0,25}$/.test(prefix)
}

const tables = ["sturdy_op", "sturdy_dead_letter", "sturdy_superseded"]

/** Everything whose id begins so, oldest first by id, at most `limit`. */
export function idsThatBegin(db: Database, prefix: string, limit: number): KnownId[] {
  if (!isIdPrefix(prefix)) return []
  const range = [ulidToBytes(prefix.padEnd(26, "0")), ulidToBytes(prefix.padEnd(26, "Z"))] as const
  const places = tables.map((table) => `select op_id, seq from ${table} where op_id >= ?1 and op_id <= ?2`)
  const ops = db.prepare(`${places.join(" union ")} order by op_id limit ?3`).all(...range, limit) as OpPlace[]
  const batches = db
    .prepare("select batch_id as id, first_seq as seq from sturdy_batch where substr(batch_id, 1, ?1) = ?2 limit ?3")
    .all(prefix.length, prefix, limit) as { id: string; seq: number }[]
  return [
    ...ops.map(({ op_id, seq }): KnownId => ({ kind: "op", id: ulidFromBytes(op_id), seq })),
    ...batches.map(({ id, seq }): KnownId => ({ kind: "batch", id, seq })),
  ].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/**
 * The ids that differ in fewest letters from what was typed, for one that nothing begins with. Of many the latest: who
 * types an id has seen it lately.
 */
export function idsLike(db: Database, prefix: string, limit: number, kinds: readonly KnownId["kind"][]): KnownId[] {
  if (prefix.length === 0) return []
  const typed = [...prefix].map((letter) => digits.indexOf(letter))
  const found: { id: KnownId; wrong: number }[] = []
  const consider = (kind: KnownId["kind"], text: string, seq: number) => {
    if (!kinds.includes(kind)) return
    let wrong = 0
    for (let i = 0; i < typed.length && wrong <= wrong_max; i++) if (digits[typed[i]!] !== text[i]) wrong++
    if (wrong > wrong_max) return
    // A dead letter is one with its op.
    if (found.some((other) => other.id.id === text)) return
    const place = found.findIndex((other) => wrong < other.wrong || (wrong === other.wrong && text > other.id.id))
    found.splice(place < 0 ? found.length : place, 0, { id: { kind, id: text, seq }, wrong })
    if (found.length > limit) found.pop()
  }
  for (const table of kinds.includes("op") ? tables : [])
    for (const { op_id, seq } of db
      .prepare(`select op_id, seq from ${table} order by seq`)
      .iterate() as Iterable<OpPlace>)
      consider("op", ulidFromBytes(op_id), seq)
  if (!kinds.includes("batch")) return found.map(({ id }) => id)
  const batches = db.prepare("select batch_id as id, first_seq as seq from sturdy_batch order by first_seq")
  for (const { id, seq } of batches.iterate() as Iterable<{ id: string; seq: number }>) consider("batch", id, seq)
  return found.map(({ id }) => id)
}

/** Letters that may be wrong: one that was mistaken, two that were swapped. */
const wrong_max = 2
