/** What `checkInvariants` says of outboxes that lived, and of the same with one row changed behind Sturdy's back. */
import type { Database } from "bun:sqlite"
import { afterAll, describe, expect, test } from "bun:test"
import { checkInvariants } from "../../src/inspect/invariant/check.ts"
import { rules, type RuleCode } from "../../src/inspect/invariant/rule.ts"
import { readingOutbox } from "../../src/store/reading.ts"
import { checksumOf, type OpRow } from "../../src/store/op-row.ts"
import { firstSeq } from "../../src/store/stream.ts"
import { openOutbox as openOlder } from "../fixture/older/outbox-schema-1.js"
import { copyDatabase } from "../copy-database.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { openStore, ref, type Op } from "../store/box.ts"
import { startChild } from "../store/child.ts"
import { hashOf, ruin } from "../store/damage.ts"
import { tempDir } from "../temp-dir.ts"

const dir = tempDir()
afterAll(() => dir[Symbol.asyncDispose]())

const each_alone = { batches_max: 8, bytes_max: 1_000_000, seal_bytes_max: 1 }

/**
 * Places of the stream: 1 and 2 pruned, 2 a dead letter; 3 applied, with a result; 4 dead, and 5, which depends on it; 6
 * superseded by the service's word; 7 and 8 a unit, and 9, two batches in flight; 10 replaced by 11; 12; 13 and 14 a unit.
 */
function lived(file: string): void {
  using store = openStore(file)
  const one = (op: Op = {}) => store.record(op)[0]!
  const settle = (rejected: Record<string, string>) => {
    store.clock.turn(1)
    store.settle(rejected)
  }
  one()
  settle({ [one()]: "no_access" })
  store.connection.transact("make room", () => store.settler.retention.makeRoom())
  one({ want_result: true, capture_id: "event_1", key: "k", only_if_changed: true })
  const poison = one({ key: "p" })
  const hanging = one({ depends_on: [poison] })
  settle({ [poison]: "no_access", [hanging]: "dependency_rejected", [one()]: "superseded" })
  store.unit([{}, {}])
  const frozen = one()
  store.freeze(each_alone)
  one({ key: "a" })
  one({ key: "a" })
  one({ depends_on: [frozen] })
  store.unit([{}, {}])
  store.streams.open("others", { ...ref, share_id: "another_share_of_the_test" })
}

const whole = dir.file("whole.db")
lived(whole)

const at = (place: number) => firstSeq(1) + place

function codesOf(file: string): RuleCode[] {
  using db = new ScopedDatabase(file, { readonly: true })
  return codesIn(db)
}

function codesIn(db: Database): RuleCode[] {
  const codes = [...checkInvariants(db)].flatMap((step) => (step.kind === "finding" ? [step.code] : []))
  return [...new Set(codes)].toSorted()
}

/** Changes columns of an op, and its checksum with them. */
function rewrite(db: Database, place: number, change: Partial<OpRow>): void {
  const row = { ...(db.query("select * from sturdy_op where seq = ?").get(at(place)) as OpRow), ...change }
  const { op_id, continues, depends_on } = row
  db.query("update sturdy_op set op_id = ?, continues = ?, depends_on = ?, checksum = ? where seq = ?").run(
    op_id,
    continues,
    depends_on,
    checksumOf(row),
    at(place),
  )
}

const idAt = (db: Database, place: number) =>
  (db.query("select op_id from sturdy_op where seq = ?").get(at(place)) as { op_id: Uint8Array }).op_id

const stream = (change: string) => `update sturdy_stream set ${change} where name = 'notes'`
const batch = (place: number, change: string) => `update sturdy_batch set ${change} where first_seq = ${at(place)}`

/** What was done to the file, and what must be told of it. */
const corruptions: [what: string, change: string | ((db: Database) => void), codes: RuleCode[]][] = [
  ["an op is gone", `delete from sturdy_op where seq = ${at(12)}`, ["op_lost"]],
  ["the op that replaced another is gone", `delete from sturdy_op where seq = ${at(11)}`, ["op_lost"]],
  ["all ops behind a replaced one are gone", `delete from sturdy_op where seq > ${at(10)}`, ["op_lost"]],
  [
    "a pending op is called superseded by the service",
    `insert into sturdy_superseded select seq, op_id, null from sturdy_op where seq = ${at(9)}`,
    ["op_in_two_places"],
  ],
  [
    "an op is dead and pending",
    (db) => {
      const id = idAt(db, 12)
      db.query("update sturdy_dead_letter set seq = ?, op_id = ? where seq = ?").run(at(12), id, at(5))
    },
    ["dead_letter_damaged", "op_in_two_places"],
  ],
  [
    "another op is called superseded than the one that stands there",
    `update sturdy_superseded set op_id = zeroblob(16) where seq = ${at(6)}`,
    ["place_disputed"],
  ],
  [
    "a dead letter moved to another op's place",
    `update sturdy_dead_letter set seq = ${at(3)} where seq = ${at(4)}`,
    ["place_disputed"],
  ],
  [
    "another op is said to have replaced it",
    (db) => db.query("update sturdy_superseded set by_op_id = ? where seq = ?").run(idAt(db, 12), at(10)),
    ["superseded_unnamed"],
  ],
  ["gap_count is wrong", stream("gap_count = gap_count + 1"), ["gap_count"]],
  ["dead_count is wrong", stream("dead_count = dead_count - 1"), ["dead_count"]],
  ["superseded_count is wrong", stream("superseded_count = 0"), ["superseded_count"]],
  ["an op_id stands twice", (db) => rewrite(db, 14, { op_id: idAt(db, 12) }), ["op_id_twice"]],
  [
    "two streams have one writer",
    "update sturdy_stream set writer_id = (select writer_id from sturdy_stream where name = 'notes')",
    ["writer_twice"],
  ],
  [
    "two batches have one id",
    batch(9, `batch_id = (select batch_id from sturdy_batch where first_seq = ${at(7)})`),
    ["batch_id_twice"],
  ],
  [
    "a batch ends where no op is",
    `${batch(9, `last_seq = ${at(10)}`)}; ${stream(`frozen_seq = ${at(10)}`)}`,
    ["batch_range"],
  ],
  [
    "a batch ends before it begins",
    batch(9, `last_seq = ${at(7)}`),
    ["batch_range", "frozen_seq", "op_between_batches"],
  ],
  [
    "a batch goes on into the next one",
    batch(7, `last_seq = ${at(9)}, op_count = 3`),
    ["batch_bytes", "batch_overlap"],
  ],
  ["a frozen batch is gone", `delete from sturdy_batch where first_seq = ${at(7)}`, ["op_between_batches"]],
  ["frozen_seq is wrong", stream(`frozen_seq = ${at(8)}`), ["frozen_seq"]],
  ["a unit goes on in the next batch", (db) => rewrite(db, 9, { continues: 1 }), ["batch_splits_unit"]],
  [
    "a unit goes on behind what was frozen",
    `delete from sturdy_batch where first_seq = ${at(9)}; ${stream(`frozen_seq = ${at(7)}`)};
      ${batch(7, `last_seq = ${at(7)}, op_count = 1`)}`,
    ["batch_bytes", "batch_splits_unit"],
  ],
  ["a unit begins with a replaced op", (db) => rewrite(db, 11, { continues: 1 }), ["unit_broken"]],
  ["a unit begins with a pruned op", (db) => rewrite(db, 3, { continues: 1 }), ["unit_broken"]],
  ["an op depends on a younger one", (db) => rewrite(db, 12, { depends_on: idAt(db, 14) }), ["dependency_younger"]],
  ["an op depends on itself", (db) => rewrite(db, 12, { depends_on: idAt(db, 12) }), ["dependency_younger"]],
  ["settled_op_id is gone", stream("settled_op_id = null"), ["settled_op_id"]],
  ["a settled batch has no time", batch(3, "time_settled = null"), ["batch_unmarked"]],
  ["a batch in flight has a time", batch(9, "time_settled = 1"), ["batch_unmarked"]],
  ["a pending op has a result", `insert into sturdy_result values (${at(9)}, '1')`, ["result_unsettled"]],
  ["a replaced op has a result", `insert into sturdy_result values (${at(10)}, '1')`, ["result_orphan"]],
  ["the cursor lies beyond what was frozen", stream(`cursor = ${at(10)}`), ["cursor_order"]],
  ["the cursor is of another stream", stream(`cursor = ${firstSeq(2)}`), ["cursor_order"]],
  [
    "the cursor stands within a batch",
    stream(`cursor = ${at(7)}`),
    ["cursor_in_batch", "retained_ops", "settled_op_id"],
  ],
  [
    "the cursor passed a batch that was not settled",
    stream(`cursor = ${at(8)}`),
    ["batch_unmarked", "retained_bytes", "retained_ops", "settled_op_id"],
  ],
  ["a result of a pruned op is left", `insert into sturdy_result values (${at(1)}, '1')`, ["below_pruned"]],
  ["retained_ops is wrong", stream("retained_ops = retained_ops + 1"), ["retained_ops"]],
  ["retained_bytes is wrong", stream("retained_bytes = 0"), ["retained_bytes"]],
  ["batch_count is wrong", stream("batch_count = 0"), ["batch_count"]],
  ["a removal is to be repeated that never was", stream("repeat_removal = 1"), ["removal_order"]],
  ["it is closed without a removal", stream("time_closed = 1"), ["captures_of_closed", "removal_order"]],
  ["a closed stream has captures", stream("time_removal = 1, time_closed = 1"), ["captures_of_closed"]],
  ["op_count is wrong", batch(7, "op_count = 3"), ["batch_ops"]],
  ["bytes are wrong", batch(7, "bytes = bytes + 1"), ["batch_bytes"]],
  ["arguments are not what was recorded", `update sturdy_op set args = '["x"]' where seq = ${at(12)}`, ["op_damaged"]],
  [
    "without a checksum arguments are no list",
    `update sturdy_op set args = '["x', checksum = null where seq = ${at(12)}`,
    ["op_damaged"],
  ],
  ["an id has 15 bytes", `update sturdy_op set op_id = zeroblob(15) where seq = ${at(12)}`, ["op_damaged"]],
  [
    "a dead letter has lost its op",
    `update sturdy_dead_letter set op = '{}' where seq = ${at(4)}`,
    ["dead_letter_damaged"],
  ],
  [
    "a decision has a time only",
    `update sturdy_dead_letter set time_decided = 1 where seq = ${at(4)}`,
    ["decision_half"],
  ],
  ["an op is of no stream", `insert into sturdy_result values (${firstSeq(9) + 1}, '1')`, ["stream_unknown"]],
  [
    "a dead letter stands at place 0",
    `insert into sturdy_dead_letter (seq, op_id, code, message, op, time_created)
    select ${at(0)}, op_id, code, message, op, time_created from sturdy_dead_letter limit 1`,
    ["stream_unknown"],
  ],
  ["a capture is of no stream", "insert into sturdy_capture values (77, 'event', null)", ["stream_unknown"]],
  [
    "a superseded op names no newer one",
    `update sturdy_superseded set by_op_id = null where seq = ${at(10)}`,
    ["gap_count", "superseded_orphan", "superseded_unnamed"],
  ],
  ["an item names no op", "update sturdy_item set op_id = zeroblob(3)", ["capture_damaged"]],
]

describe("told of a file in which", () => {
  for (const [index, [what, change, codes]] of corruptions.entries())
    test(what, () => {
      const file = dir.file(`${index}.db`)
      copyDatabase(whole, file)
      {
        using db = new ScopedDatabase(file)
        if (typeof change === "string") db.run(change)
        else change(db)
      }
      expect(codesOf(file)).toEqual(codes.toSorted())
    })

  test("a page is damaged: the rest is checked all the same", () => {
    const file = dir.file("page.db")
    copyDatabase(whole, file)
    {
      using db = new ScopedDatabase(file)
      db.run(stream("gap_count = 7"))
    }
    using db = new ScopedDatabase(whole, { readonly: true })
    const { rootpage } = db.query("select rootpage from sqlite_schema where name = 'sturdy_result'").get() as {
      rootpage: number
    }
    ruin(file, rootpage)
    expect(codesOf(file)).toEqual(["gap_count", "unreadable"])
  })
})

test("each rule has a file that breaks it", () => {
  const broken = new Set(corruptions.flatMap(([, , codes]) => codes))
  expect(Object.keys(rules).filter((code) => !broken.has(code as RuleCode))).toEqual(["unreadable"])
})

test("nothing is told of an outbox as Sturdy wrote it, and what was looked at is said", () => {
  using db = new ScopedDatabase(whole, { readonly: true })
  const steps = [...checkInvariants(db)]
  expect(steps.filter(({ kind }) => kind === "finding")).toEqual([])
  const said = steps.flatMap((step) =>
    step.kind === "checked" ? [`${step.invariant} ${step.title}: ${step.what}`] : [],
  )
  expect(said).toEqual([
    "I1 no loss: 11 ops and 3 dead letters in 2 streams",
    "I2 once: 11 ops in 2 streams",
    "I3 order: 3 batches in 2 streams",
    "I4 truth: 3 batches in 2 streams",
    "I5 cursors: 2 streams",
    "I6 atomic: 11 ops, 1 result and 2 captures and items",
  ])
})

test("nothing is told beside a host that does all it can, whenever one looks", async () => {
  const file = dir.file("busy.db")
  await using host = startChild([process.execPath, `${import.meta.dir}/busy-host-fixture.ts`, file, "1"])
  expect(await host.line()).toBe("busy")
  let looks = 0
  const found = readingOutbox(file, (db) => {
    const findings: string[] = []
    for (; looks < 10; looks++)
      for (const step of checkInvariants(db)) if (step.kind === "finding") findings.push(`${step.code}: ${step.what}`)
    return findings
  })
  expect(found).toEqual([])
  expect(await host.end()).toBe(0)
})

test("each window is a transaction of its own: between two of them the host's -wal is copied back as a whole", async () => {
  const file = dir.file("checkpointed.db")
  using store = openStore(file)
  for (let n = 0; n < 30; n++) store.unit(Array.from({ length: 100 }, () => ({})))
  const copied: boolean[] = []
  readingOutbox(file, (db) => {
    for (const step of checkInvariants(db)) {
      if (step.kind !== "progress") continue
      store.record({})
      const { busy } = store.db.query("pragma wal_checkpoint(truncate)").get() as { busy: number }
      copied.push(busy === 0)
    }
  })
  expect(copied).toEqual([true, true, true])
})

test("progress ends where the places of all streams do", () => {
  const file = dir.file("progress.db")
  using store = openStore(file)
  for (let n = 0; n < 25; n++) store.unit(Array.from({ length: 100 }, () => ({})))
  const told = [...checkInvariants(store.db)].flatMap((step) =>
    step.kind === "progress" ? [[step.checked, step.of]] : [],
  )
  expect(told).toEqual([
    [1_000, 2_500],
    [2_000, 2_500],
    [2_500, 2_500],
  ])
})

test("an outbox of schema 1 is checked as it lies, and so is one in which both versions worked", async () => {
  const file = dir.file("older.db")
  const older = openOlder(file)
  older.pause()
  const notes = older.stream("notes", ref)
  for (const key of ["a", "b", "a", undefined]) notes.record({ method: "put", args: ["x"], ...(key && { key }) })
  await older.close({ flush_ms: 0 })
  const before = hashOf(file)
  expect(readingOutbox(file, codesIn)).toEqual([])
  expect(hashOf(file)).toBe(before)
  {
    using store = openStore(file)
    const [poison] = store.record({ key: "b" }, {})
    store.settle({ [poison!]: "no_access" })
    store.record({ key: "a" })
  }
  expect(readingOutbox(file, codesIn)).toEqual([])
})

test("a place that was damaged without a checksum is found in a file of schema 1 too", async () => {
  const file = dir.file("older-damaged.db")
  const older = openOlder(file)
  older.pause()
  older.stream("notes", ref).record({ method: "put", args: ["x"] })
  await older.close({ flush_ms: 0 })
  {
    using db = new ScopedDatabase(file)
    db.run(`update sturdy_op set args = '["x'`)
  }
  expect(readingOutbox(file, codesIn)).toEqual(["op_damaged"])
})
