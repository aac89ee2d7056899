/** One op, found by what a person types, with all that is known of it. */
import { afterAll, describe, expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { canonicalPrefix, idsLike, idsThatBegin, type KnownId } from "../../src/inspect/id-search.ts"
import { readOp, type OpDetail } from "../../src/inspect/op.ts"
import { ulidToBytes } from "../../src/intent/ulid.ts"
import { firstSeq } from "../../src/store/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { lived, viewed } from "./lived.ts"

const dir = tempDir()
afterAll(() => dir[Symbol.asyncDispose]())
const ids = lived(dir.file())

let copies = 0
function changed(sql: string, ...values: (string | number | Uint8Array)[]): string {
  const file = dir.file(`changed-${(copies += 1)}.db`)
  copyFileSync(dir.file(), file)
  using db = new ScopedDatabase(file)
  db.query(sql).run(...values)
  return file
}

const at = (place: number) => firstSeq(1) + place
const opAt = (op_id: string, place: number, file = dir.file()): OpDetail =>
  viewed(file, (db) => readOp(db, op_id, at(place)))

describe("an op", () => {
  test("has the result that was asked for", () => {
    expect(opAt(ids.result, 2)).toMatchObject({ state: "acked", result: '{"id":"r"}', call: { want_result: true } })
    expect(opAt(ids.first, 1).result).toBeNull()
  })

  test("of a unit knows its ends; one alone has none, also beside one", () => {
    for (const [id, place] of [
      [ids.left, 6],
      [ids.right, 7],
    ] as const)
      expect(opAt(id, place).unit).toEqual({ first_seq: 6, last_seq: 7 })
    for (const [id, place] of [
      [ids.word, 5],
      [ids.lone, 8],
    ] as const)
      expect(opAt(id, place).unit).toBeNull()
  })

  test("knows which dead letters depend on it, also when their ops are not kept any more", () => {
    const dependents = [{ op_id: ids.hanging, seq: 4, method: "tag", state: "failed" }]
    expect(opAt(ids.poison, 3).dependents as object[]).toEqual(dependents)
    expect(opAt(ids.poison, 3, changed("delete from sturdy_op where seq <= ?", at(5))).dependents as object[]).toEqual(
      dependents,
    )
  })

  test("knows what it depends on, and that something is not known here", () => {
    expect(opAt(ids.outside, 11).depends_on as object[]).toEqual([
      { op_id: ids.lone, seq: 8, method: "put", state: "in_flight" },
    ])
    const gone = changed("delete from sturdy_op where seq = ?", at(8))
    expect(opAt(ids.outside, 11, gone).depends_on as object[]).toEqual([
      { op_id: ids.lone, seq: null, method: null, state: null },
    ])
  })

  test("that was replaced before it was sent is superseded, by which", () => {
    expect(opAt(ids.draft, 9)).toMatchObject({ state: "superseded", call: null, superseded_by: ids.final })
    expect(opAt(ids.final, 10)).toMatchObject({ state: "pending", supersedes: [ids.draft] })
  })

  test("that was pending when its share was removed was discarded", () => {
    const removed = changed("update sturdy_stream set time_closed = 1")
    expect([opAt(ids.outside, 11, removed).state, opAt(ids.first, 1, removed).state]).toEqual(["discarded", "acked"])
  })
})

describe("the beginning of an id", () => {
  const found = (prefix: string, file = dir.file()) => viewed(file, (db) => idsThatBegin(db, prefix, 9))
  const kinds = (all: KnownId[]) => all.map(({ kind, id }) => `${kind} ${id}`)

  test("finds an op, one of which only a dead letter or a note is left, and a batch", () => {
    expect(kinds(found(ids.first))).toEqual([`op ${ids.first}`])
    expect(kinds(found(ids.draft))).toEqual([`op ${ids.draft}`])
    expect(kinds(found(ids.poison, changed("delete from sturdy_op where seq = ?", at(3))))).toEqual([
      `op ${ids.poison}`,
    ])
    const { batch_id } = viewed(dir.file(), (db) => db.prepare("select batch_id from sturdy_batch limit 1").get()) as {
      batch_id: string
    }
    expect(kinds(found(batch_id))).toEqual([`batch ${batch_id}`])
  })

  test("finds the first and the last id that begin so, and none beside them", () => {
    const [low, high, beside] = ["0000000000", "000000ZZZZ", "0000010000"].map((end) => `01HF7YAAAAAAAAAA${end}`)
    const file = changed(
      "update sturdy_op set op_id = case seq when ? then ? when ? then ? else ? end where seq in (?, ?, ?)",
      at(6),
      ulidToBytes(low!),
      at(7),
      ulidToBytes(high!),
      ulidToBytes(beside!),
      at(6),
      at(7),
      at(8),
    )
    expect(found("01HF7YAAAAAAAAAA000000", file).map(({ id }) => id)).toEqual([low!, high!])
  })

  test("may be typed in small letters, and with letters that Crockford's base32 takes for digits", () => {
    expect(canonicalPrefix("oiL1abc")).toBe("0111ABC")
  })
})

describe("an id that is none", () => {
  const swapped = (id: string, n: number) => id.slice(0, n) + id[n + 1] + id[n] + id.slice(n + 2)
  const near = (typed: string, kinds: KnownId["kind"][] = ["op", "batch"]) =>
    viewed(dir.file(), (db) => idsLike(db, typed, 3, kinds)).map(({ id }) => id)

  test("with two letters swapped is nearest to the one that was meant", () => {
    expect(ids.first[17]).not.toBe(ids.first[18]!)
    expect(near(swapped(ids.first, 17))[0]).toBe(ids.first)
  })

  test("is nearest to the latest of those that differ as much", () => {
    expect(near("01HF7Z")).toEqual([ids.one, ids.outside, ids.final])
  })

  test("is near to those of a kind, whatever is as near", () => {
    const batches = viewed(dir.file(), (db) => db.prepare("select batch_id from sturdy_batch").values()).flat()
    expect(near("01HF7Z", ["batch"])).toEqual((batches.toReversed() as string[]).slice(0, 3))
  })

  test("that differs by more than two letters has none near", () => {
    expect(near(`77ZZ${ids.first.slice(4)}`)).toEqual([])
  })
})
