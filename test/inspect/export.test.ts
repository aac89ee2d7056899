/** What an export holds of each op, in whole and redacted: no state and no field is left out, or left in. */
import { afterAll, describe, expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { OpExport, type ExportFilter } from "../../src/inspect/export/op-export.ts"
import { type OutboxSummary, readOutboxSummary } from "../../src/inspect/export/outbox-summary.ts"
import type { OpFacts } from "../../src/inspect/op-facts.ts"
import { Redactor } from "../../src/inspect/export/redactor.ts"
import { redactedOp, redactedSummary } from "../../src/inspect/export/redacted.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { openDamaged } from "../../src/store/damaged-reading.ts"
import { firstSeq } from "../../src/store/stream.ts"
import { many } from "../many.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { closedOutbox } from "../store/damage.ts"
import { tempDir } from "../temp-dir.ts"
import { lived, viewed } from "./lived.ts"

const dir = tempDir()
afterAll(() => dir[Symbol.asyncDispose]())
const ids = lived(dir.file())

function exported(filter: ExportFilter = {}, file = dir.file()): OpFacts[] {
  const reader = openDamaged(file)
  try {
    return [...new OpExport(reader, filter).parts()].flat()
  } finally {
    reader.close()
  }
}

const statesOf = (ops: OpFacts[]) => ops.map(({ stream, seq, state }) => `${stream} ${seq} ${state}`)
const waiting = ["notes 6 in_flight", "notes 7 in_flight", "notes 8 in_flight", "notes 10 pending", "notes 11 pending"]
const dead = ["notes 3 failed", "notes 4 failed"]

describe("an export", () => {
  test("has what waits, in flight or not, and dead letters", () => {
    expect(statesOf(exported())).toEqual([...dead, ...waiting, "others 1 pending"])
  })

  test("of all has each op with its state, one of which only a note is left too", () => {
    expect(statesOf(exported({ all: true }))).toEqual([
      "notes 1 acked",
      "notes 2 acked",
      ...dead,
      "notes 5 superseded",
      ...waiting.slice(0, 3),
      "notes 9 superseded",
      ...waiting.slice(3),
      "others 1 pending",
    ])
  })

  test.each(["pending", "in_flight", "acked", "superseded", "failed", "discarded"] as const)(
    "of --state %s has those alone",
    (state) => {
      expect(exported({ state }).map(({ op_id }) => op_id)).toEqual(
        exported({ all: true })
          .filter((op) => op.state === state)
          .map(({ op_id }) => op_id),
      )
    },
  )

  test("of a removed stream has what was discarded with it", () => {
    const removed = dir.file("removed.db")
    copyFileSync(dir.file(), removed)
    {
      using db = new ScopedDatabase(removed)
      db.run("update sturdy_stream set time_closed = 1 where stream_id = 1")
    }
    expect(exported({ state: "discarded", stream: "notes" }, removed).map(({ seq }) => seq)).toEqual([6, 7, 8, 10, 11])
  })

  test("has results, batches, units and what became of each other op", () => {
    const of = new Map(exported({ all: true }).map((op) => [op.op_id, op]))
    expect(of.get(ids.result)).toMatchObject({ result: '{"id":"r"}', want_result: true, key: "note/1" })
    expect(of.get(ids.right)).toMatchObject({ continues: true, batch_id: of.get(ids.left)!.batch_id })
    expect(of.get(ids.left)!.batch_id).toMatch(/^\w{26}$/)
    expect([of.get(ids.lone)!.batch_id, of.get(ids.outside)!.batch_id]).toEqual([expect.any(String), null])
    expect(of.get(ids.draft)).toMatchObject({ superseded_by: ids.final, args: null })
    expect(of.get(ids.hanging)).toMatchObject({ depends_on: [ids.poison], rejection: { code: "dependency_rejected" } })
  })

  test("has of a dead letter whose op is not kept what was sent, its key, and the op that a retry recorded", () => {
    const pruned = dir.file("pruned.db")
    copyFileSync(dir.file(), pruned)
    {
      using db = new ScopedDatabase(pruned)
      const id = db.query("select op_id from sturdy_op where seq = ?").get(firstSeq(1) + 11) as { op_id: Uint8Array }
      db.run("delete from sturdy_op where seq <= ?", [firstSeq(1) + 5])
      db.run("update sturdy_dead_letter set decision = 'retried', retried_op_id = ? where seq = ?", [
        id.op_id,
        firstSeq(1) + 3,
      ])
    }
    expect(exported({ state: "failed" }, pruned)[0]).toMatchObject({
      op_id: ids.poison,
      method: "tag",
      key: "tag/[1]",
      whole: null,
      rejection: { decision: "retried", retried_op_id: ids.outside },
    })
    expect(exported({}, pruned).map(({ op_id }) => op_id)).not.toContain(ids.poison)
  })

  test("of one stream has that one, and not those whose names begin so", () => {
    expect(exported({ stream: "other" })).toEqual([])
    expect(exported({ stream: "other*" })).toHaveLength(1)
    expect(exported({ stream: "o.*" })).toEqual([])
  })

  test("of more than a part has each op once, in order", async () => {
    const large = dir.file("large.db")
    closedOutbox(large, many(1_700))
    expect(exported({}, large).map(({ seq }) => seq)).toEqual(Array.from({ length: 1_700 }, (_, n) => n + 1))
  })

  test("says who has the lease", () => {
    expect(viewed(dir.file(), (db) => readOutboxSummary(db, 0)).lease).toMatchObject({ term: 1, pid: process.pid })
  })
})

describe("a redacted summary", () => {
  const canary = "Ø_what_people_named_Ø"
  const summary = viewed(dir.file(), (db) => readOutboxSummary(db, 0)) as OutboxSummary & {
    streams: NonNullable<OutboxSummary["streams"]>
  }
  const named = ["stream", "share_id", "url", "session_id", "service_id", "last_error", "block_message"] as const

  test.each(named)("has no %s", (field) => {
    const streams = summary.streams.map((stream) => ({ ...stream, [field]: canary }))
    const text = JSON.stringify(redactedSummary({ ...summary, streams }, new Redactor(systemRandom)))
    expect(text).not.toContain("Ø")
    expect(text).toContain("(23 B)")
  })

  test("has not the name of the machine that holds the lease", () => {
    const lease = { ...summary.lease!, host: canary }
    expect(JSON.stringify(redactedSummary({ ...summary, lease }, new Redactor(systemRandom)))).not.toContain("Ø")
  })

  test("keeps what says how it stands", () => {
    const [notes] = redactedSummary(summary, new Redactor(systemRandom)).streams!
    expect(notes).toMatchObject({ pending: 5, dead: 2, cursor: 5, service: summary.streams[0]!.service })
  })
})

test("a redacted op keeps which it is, where it stands and what it hangs on", () => {
  const op = exported({ all: true }).find(({ op_id }) => op_id === ids.hanging)!
  const { seq, state, depends_on, batch_id, method, bytes, rejection } = redactedOp(op, new Redactor(systemRandom))
  expect({ seq, state, depends_on, batch_id, method, bytes }).toEqual({
    seq: 4,
    state: "failed",
    depends_on: [ids.poison],
    batch_id: op.batch_id,
    method: "tag",
    bytes: 4,
  })
  expect(rejection).toMatchObject({ code: "dependency_rejected", decision: null })
})
