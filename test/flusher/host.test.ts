/** The flusher in a host's database that locks whoever reads while it writes: a rollback journal. */
import { expect, test } from "bun:test"
import { ScopedDatabase } from "../scoped-database.ts"
import { fail, fixedRandom, hold, openBox, record } from "./box.ts"

async function rollbackJournalBox() {
  const box = await openBox({ random: fixedRandom(0.5) })
  const database = new ScopedDatabase(box.dir.file("host.db"))
  database.run("pragma journal_mode = delete")
  database.run("pragma busy_timeout = 0")
  const outbox = box.open({}, { database })
  const stream = box.stream(outbox)
  return {
    box,
    outbox,
    stream,
    /** Another process writes, for so long. */
    async locked(ms: number) {
      using other = new ScopedDatabase(box.dir.file("host.db"))
      other.run("begin exclusive")
      await box.turn(ms, 100)
      other.run("rollback")
    },
    async [Symbol.asyncDispose]() {
      // Whether a look or a settlement met the lock.
      for (const code of box.takeFaultCodes()) expect(code).toBe("busy")
      await box[Symbol.asyncDispose]()
      database.close()
    },
  }
}

test("a lock met while looking for work stops nothing: afterwards everything is sent", async () => {
  await using it = await rollbackJournalBox()
  record(it.stream, "1")
  await it.locked(5_000)
  expect(it.box.effects).toEqual([])
  expect(await it.box.run(it.outbox.flush(), 120_000)).toEqual({ settled: true, blocked: [] })
  record(it.stream, "2")
  await it.box.turn(1_000)
  expect(it.box.effects).toEqual(["1", "2"])
})

test.each(["an answer", "a failure"])("a lock met when %s comes stops nothing", async (what) => {
  await using it = await rollbackJournalBox()
  const held = hold()
  it.box.fates.push(async (deliver, request) => {
    await held.fate(async () => ({ status: 200, retry_after: null, content_type: null, body: "" }), request)
    return what === "an answer" ? deliver() : fail("connection_lost")(deliver, request)
  })
  record(it.stream, "1 2")
  await it.box.turn(100)
  expect(it.box.sent).toHaveLength(1)
  held.release()
  await it.locked(5_000)
  expect(await it.box.run(it.outbox.flush(), 120_000)).toEqual({ settled: true, blocked: [] })
  expect(it.box.effects).toEqual(["1", "2"])
})

test("a lock met while somebody waits for a result and for a flush is waited out", async () => {
  await using it = await rollbackJournalBox()
  it.box.fates.push(fail("refused"), fail("refused"))
  const intent = it.stream.record({ method: "put", args: ["1"], wantResult: true })
  const both = Promise.all([it.outbox.result(intent), it.outbox.flush()])
  await it.box.turn(100)
  await it.locked(10_000)
  expect(await it.box.run(both, 120_000)).toMatchObject([{ name: "1" }, { settled: true }])
})
