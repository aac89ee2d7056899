/** Ids that a person typed, whole or in part: found, or told what is near. */
import type { Database } from "bun:sqlite"
import { canonicalPrefix, idsLike, idsThatBegin, isIdPrefix, type KnownId } from "../../inspect/id-search.ts"
import { SturdyError } from "../../intent/error.ts"
import { localSeq } from "../../store/stream.ts"

/** Of an ambiguous prefix, so many are listed. */
const candidates_max = 8

/**
 * The one op or batch whose id begins so.
 *
 * @throws SturdyError `op_unknown`, with what is near, or with the candidates.
 */
export function findId(db: Database, typed: string, kinds: readonly KnownId["kind"][] = ["op", "batch"]): KnownId {
  const prefix = canonicalPrefix(typed)
  const what = kinds.join(" or ")
  if (!isIdPrefix(prefix))
    throw new SturdyError(
      "op_unknown",
      `${typed} is not the id of any ${what}, nor the beginning of one`,
      isStream(db, typed)
        ? `It is a stream: \`sturdy ops --stream ${typed}\` lists its ops, \`sturdy status\` says how it stands.`
        : "Ids have 26 characters, 0-9 and A-Z without I, L, O, U: `sturdy ops` and `sturdy batches` list them.",
    )
  const found = idsThatBegin(db, prefix, candidates_max + 1).filter(({ kind }) => kinds.includes(kind))
  const [only] = found
  if (only && found.length === 1) return only
  if (only) throw ambiguous(db, typed, found)
  const near = idsLike(db, prefix, 3, kinds)
  throw new SturdyError(
    "op_unknown",
    `no ${what} has an id that begins with ${typed}`,
    near.length > 0
      ? `Nearest: ${near.map((id) => describe(db, id)).join("; ")}.`
      : "It may be of another outbox, or settled and no longer kept: `sturdy ops` and `sturdy batches` list what is here.",
  )
}

function isStream(db: Database, name: string): boolean {
  return db.prepare("select 1 from sturdy_stream where name = ?").get(name) !== null
}

function ambiguous(db: Database, typed: string, found: readonly KnownId[]): SturdyError {
  const more = found.length > candidates_max
  const candidates = found.slice(0, candidates_max).map((id) => describe(db, id))
  return new SturdyError(
    "op_unknown",
    `${typed} is the beginning of ${more ? `more than ${candidates_max}` : found.length} ids`,
    `Which one? ${candidates.join("; ")}${more ? "; …" : ""}.`,
  )
}

function describe(db: Database, { kind, id, seq }: KnownId): string {
  const { name } = db.prepare("select name from sturdy_stream where stream_id = ? >> 32").get(seq) as { name: string }
  const op =
    kind === "op"
      ? (db.prepare("select method from sturdy_op where seq = ?").get(seq) as { method: string } | null)
      : null
  return `${id} (${kind === "batch" ? "batch" : (op?.method ?? "op")}, ${name} #${localSeq(seq)})`
}
