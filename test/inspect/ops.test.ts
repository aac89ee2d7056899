/** Lists of ops, batches and dead letters: in pages, and only what was asked for. */
import { afterAll, describe, expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { batchAt, readBatch, readBatches, type BatchesFilter } from "../../src/inspect/batches.ts"
import { hangingOn, readDeadLetters, type DeadLettersFilter } from "../../src/inspect/dead-letters.ts"
import type { OpState } from "../../src/inspect/op-state.ts"
import { readOps, type OpsFilter } from "../../src/inspect/ops.ts"
import { firstSeq } from "../../src/store/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { began, lived, viewed } from "./lived.ts"

const dir = tempDir()
afterAll(() => dir[Symbol.asyncDispose]())
const ids = lived(dir.file())

const removed = dir.file("removed.db")
copyFileSync(dir.file(), removed)
{
  using db = new ScopedDatabase(removed)
  db.run("update sturdy_stream set time_removal = 1, time_closed = 2")
}

const at = (place: number) => firstSeq(1) + place
const opsOf = (filter: Partial<OpsFilter> = {}, file = dir.file()) =>
  viewed(file, (db) => readOps(db, { limit: 100, ...filter }))
const placesOf = (filter: Partial<OpsFilter>) => opsOf(filter).ops.map(({ stream, seq }) => `${stream} ${seq}`)

describe("ops", () => {
  const settled: OpState[] = ["acked", "acked", "failed", "failed", "superseded"]

  test("each have the state that they have", () => {
    expect(opsOf().ops.map(({ state }) => state)).toEqual([
      ...settled,
      "in_flight",
      "in_flight",
      "in_flight",
      "pending",
      "pending",
      "pending",
    ])
  })

  test("behind the cursor of a removed stream were discarded", () => {
    const states = opsOf({}, removed).ops.map(({ state }) => state)
    expect(states.slice(0, 5)).toEqual(settled)
    expect(new Set(states.slice(5))).toEqual(new Set(["discarded"]))
  })

  test("of a page come after the last of the page before, each once, also across streams", () => {
    const seen: string[] = []
    let pages = 0
    for (let after: number | null = 0; after !== null; pages++) {
      const { ops, next } = opsOf({ after, limit: 5 })
      seen.push(...ops.map(({ op_id }) => op_id))
      after = next
    }
    expect([seen, pages]).toEqual([opsOf().ops.map(({ op_id }) => op_id), 3])
  })

  test("up to a place are those up to and with it", () => {
    expect(placesOf({ after: at(5), to: at(8) })).toEqual(["notes 6", "notes 7", "notes 8"])
  })

  const chosen: [what: Partial<OpsFilter>, places: string[]][] = [
    [{ stream: "others" }, ["others 1"]],
    [{ stream: "other*" }, ["others 1"]],
    [{ stream: "other?" }, []],
    [{ method: "tag" }, ["notes 3", "notes 4"]],
    [{ method: "*t", state: "in_flight" }, ["notes 6", "notes 7", "notes 8"]],
    [{ method: "?ag*" }, []],
    [{ key: "note/1" }, ["notes 2"]],
    [{ key: "tag/[1]*" }, ["notes 3"]],
    [{ key: "tag/?1?*" }, []],
    [{ state: "failed" }, ["notes 3", "notes 4"]],
    [{ since: began + 12_000 }, ["notes 11", "others 1"]],
    [{ since: began + 12_001 }, []],
  ]
  test.each(chosen)("of %j are these alone", (filter, places) => {
    expect(placesOf(filter)).toEqual(places)
  })

  test("tell their bytes, what they depend on, and which continues the unit of the one before", () => {
    const { ops } = opsOf()
    const of = (op_id: string) => ops.find((op) => op.op_id === op_id)!
    // `[["é"]]` in UTF-8.
    expect(of(ids.first).bytes).toBe(8)
    expect([of(ids.hanging).depends_on, of(ids.outside).depends_on]).toEqual([[ids.poison], [ids.lone]])
    expect(ops.filter(({ continues }) => continues).map(({ op_id }) => op_id)).toEqual([ids.right])
  })
})

describe("batches", () => {
  const batchesOf = (filter: Partial<BatchesFilter> = {}, file = dir.file()) =>
    viewed(file, (db) => readBatches(db, { limit: 100, ...filter }))
  const firsts = (filter: Partial<BatchesFilter>) => batchesOf(filter).batches.map(({ first_seq }) => first_seq)

  test("have their places, ops, rejections, and when they were settled", () => {
    expect(
      batchesOf().batches.map(({ first_seq, last_seq, ops, state, rejected, time_settled }) => [
        first_seq,
        last_seq,
        ops,
        state,
        rejected,
        time_settled,
      ]),
    ).toEqual([
      [1, 1, 1, "settled", 0, began + 2_000],
      [2, 5, 4, "settled", 2, began + 7_000],
      [6, 7, 2, "in_flight", 0, null],
      [8, 8, 1, "in_flight", 0, null],
    ])
  })

  test("count a rejected op at either end of them", () => {
    const file = dir.file("ends.db")
    copyFileSync(dir.file(), file)
    {
      using db = new ScopedDatabase(file)
      db.run(`update sturdy_dead_letter set seq = case seq when ${at(3)} then ${at(2)} else ${at(5)} end`)
    }
    expect(batchesOf({}, file).batches[1]!.rejected).toBe(2)
  })

  test("of a removed stream that were not settled were discarded", () => {
    expect(batchesOf({}, removed).batches.map(({ state }) => state)).toEqual([
      "settled",
      "settled",
      "discarded",
      "discarded",
    ])
  })

  test("are chosen by stream and state", () => {
    expect(firsts({ stream: "notes" })).toHaveLength(4)
    expect(firsts({ stream: "others" })).toEqual([])
    expect(firsts({ state: "in_flight" })).toEqual([6, 8])
  })

  test("come in pages, each once", () => {
    const first = batchesOf({ limit: 3 })
    const second = batchesOf({ limit: 3, after: first.next! })
    expect([...first.batches, ...second.batches].map(({ first_seq }) => first_seq)).toEqual([1, 2, 6, 8])
    expect(second.next).toBeNull()
  })

  test("hold the ops between their ends, and none behind", () => {
    viewed(dir.file(), (db) => {
      expect(batchAt(db, at(7))!.first_seq).toBe(6)
      expect(batchAt(db, at(10))).toBeUndefined()
      const { batch_id } = batchAt(db, at(8))!
      expect(readBatch(db, batch_id)).toMatchObject({ first: at(8), last: at(8) })
    })
  })
})

describe("dead letters", () => {
  const decided = dir.file("decided.db")
  copyFileSync(dir.file(), decided)
  {
    using db = new ScopedDatabase(decided)
    db.query("update sturdy_dead_letter set decision = 'discarded', time_decided = 9 where seq = ?").run(at(3))
  }
  const lettersOf = (filter: Partial<DeadLettersFilter> = {}, file = dir.file()) =>
    viewed(file, (db) => readDeadLetters(db, { limit: 100, ...filter }))
  const codes = (...args: Parameters<typeof lettersOf>) => lettersOf(...args).letters.map(({ code }) => code)

  test("about which somebody has decided are shown only if asked for", () => {
    expect(codes({}, decided)).toEqual(["dependency_rejected"])
    expect(codes({ decided: true }, decided)).toEqual(["no_access", "dependency_rejected"])
  })

  test("are chosen by stream and code", () => {
    expect(codes({ stream: "others" })).toEqual([])
    expect(codes({ stream: "notes" })).toHaveLength(2)
    expect(codes({ code: "no_access" })).toEqual(["no_access"])
  })

  test("come in pages, each once", () => {
    const { letters, next } = lettersOf({ limit: 1 })
    expect(letters.map(({ op_id }) => op_id)).toEqual([ids.poison])
    expect(lettersOf({ after: next! })).toMatchObject({ letters: [{ op_id: ids.hanging }], next: null })
  })

  test("have hanging on them what a retry and a discard take along, until somebody has decided", () => {
    const both = [ids.poison, ids.hanging]
    const hanging = (file: string) => viewed(file, (db) => hangingOn(db, ids.poison, at(3)))
    expect(hanging(dir.file())).toEqual({ retried: both, discarded: both })
    expect(hanging(decided)).toBeUndefined()
  })
})
