import type { SQLQueryBindings } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { isUlid, ulidFromBytes } from "../../src/intent/ulid.ts"
import { ulidText } from "../../src/store/ulid-text.ts"
import fc from "fast-check"
import { tempDir } from "../temp-dir.ts"
import { openStore, settlementOf } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

describe("freezing", () => {
  test("makes whole batches of at most 100 ops and gives the rest to the next window", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record(...Array.from({ length: 250 }, () => ({})))
    const first = store.freeze({ batches_max: 2, bytes_max: limit.post_bytes_max })
    expect(first.map((batch) => batch.ops.length)).toEqual([100, 100])
    store.settle({}, {}, first)
    expect(store.freeze().map((batch) => batch.ops.length)).toEqual([50])
  })

  test("keeps the order of recording, whatever the ids say: another process's clock may be behind", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [earlier, later] = [store.newOp(), store.newOp()].map(({ op_id }) => op_id)
    store.record({ op_id: later! }, { op_id: earlier! })
    expect(store.freeze()[0]!.ops.map(({ op_id }) => op_id)).toEqual([later!, earlier!])
  })

  test("gives the same batches again until they are settled", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({}, {})
    const first = store.freeze().map(({ batch_id, ops }) => ({ batch_id, ops }))
    store.record({})
    const again = store.freeze().map(({ batch_id, ops }) => ({ batch_id, ops }))
    expect([again.slice(0, 1), again.length]).toEqual([first, 2])
  })

  test("never splits a unit, also at the end of what was read", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record(...Array.from({ length: 60 }, () => ({})))
    store.unit(Array.from({ length: 90 }, () => ({})))
    store.record({})
    expect(store.freeze().map((batch) => batch.ops.length)).toEqual([60, 91])
  })

  test("keeps one POST within its bytes, but always sends the first batch", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const big = { args: ["x".repeat(700_000)] }
    store.record(big, big, big)
    expect(store.freeze({ batches_max: 8, bytes_max: 1_500_000 })).toHaveLength(2)
    expect(store.freeze({ batches_max: 8, bytes_max: 10 })).toHaveLength(1)
  })

  test("sends no batch after a removal was recorded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({})
    store.streams.recordRemoval(store.stream_id)
    expect(store.freeze()).toEqual([])
  })

  test("changes nothing with a lease that was lost (I9)", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({})
    expect([
      store.freezer.freeze(99, store.stream_id, () => ({ batches_max: 1, bytes_max: 1e6 })),
      store.count("sturdy_batch"),
    ]).toEqual([undefined, 0])
  })
})

describe("settling", () => {
  test("moves the cursor by exactly the ops of the batch, in one transaction with what became of them", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [applied, dead, superseded] = store.record({ want_result: true }, {}, {})
    store.settle({ [dead!]: "no_access", [superseded!]: "superseded" })
    const { cursor, frozen_seq, settled_op_id, dead_count, base_cursor } = store.stream()
    expect([cursor, store.pending(), settled_op_id, dead_count, base_cursor]).toEqual([
      frozen_seq,
      0,
      superseded!,
      1,
      3,
    ])
    expect([applied, dead, superseded].map((op_id) => store.knowledge.stateOf(store.stream(), op_id!)?.state)).toEqual([
      "applied",
      "dead",
      "superseded",
    ])
    expect(store.knowledge.stateOf(store.stream(), applied!)).toEqual({ state: "applied", result: '{"id":"r"}' })
  })

  test("remembers the last op that was settled here, although a twin has moved the register on", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [op] = store.record({})
    const settlement = settlementOf(store.freeze())
    const register = { cursor: 7, head_op_id: store.newOp().op_id }
    store.settler.settle(store.term(), store.stream_id, {
      ...settlement,
      acked: settlement.acked.map((acked) => ({ ...acked, register })),
    })
    const { settled_op_id, base_cursor, base_head_op_id } = store.stream()
    expect({ settled_op_id, base_cursor, base_head_op_id }).toEqual({
      settled_op_id: op!,
      base_cursor: 7,
      base_head_op_id: register.head_op_id,
    })
  })

  test("changes nothing with a lease that was lost (I9)", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({})
    const batches = store.freeze()
    const before = store.db.serialize()
    expect(store.settler.settle(99, store.stream_id, settlementOf(batches))).toBeUndefined()
    expect(Buffer.compare(store.db.serialize(), before)).toBe(0)
  })

  test("refuses a batch that is not the next one, as a bug, and writes nothing", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({})
    const batches = store.freeze()
    store.settle({}, {}, batches)
    const before = store.db.serialize()
    expect(() => store.settle({}, {}, batches)).toThrow("is not the next one to settle")
    expect(Buffer.compare(store.db.serialize(), before)).toBe(0)
  })

  test("writes all of a settlement or nothing of it", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record(...Array.from({ length: 150 }, () => ({})))
    const batches = store.freeze()
    store.db.run(
      `create trigger no_second before update of time_settled on sturdy_batch when new.first_seq > 4294967300
       begin select raise(abort, 'no'); end`,
    )
    expect(() => store.settle({}, {}, batches)).toThrow()
    expect([store.pending(), store.stream().batch_count]).toEqual([150, 0])
  })

  test("forgets what was captured once the stream is closed, and its ops are discarded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [op] = store.record({ capture_id: "event_1", key: "a", only_if_changed: true })
    store.streams.recordRemoval(store.stream_id)
    store.settle({}, { patch: { time_closed: store.clock.now() } }, [])
    expect([
      store.pending(),
      store.count("sturdy_capture"),
      store.count("sturdy_item"),
      store.state(op!)[0]!.state,
      store.knowledge.stateOf(store.stream(), op!),
    ]).toEqual([0, 0, 0, "discarded", { state: "discarded" }])
  })
})

describe("the view op_state says", () => {
  test("pending, then in_flight with attempts and the last error, then acked", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [op] = store.record({})
    const states = [store.state(op!)]
    store.freeze()
    store.settle({}, { patch: { attempts: 3, next_attempt_at: 77, last_error: "service_unreachable" } }, [])
    states.push(store.state(op!))
    store.settle()
    states.push(store.state(op!))
    const none = { attempts: 0, next_retry_at: null, last_error: null }
    expect(states).toEqual([
      [{ state: "pending", ...none }],
      [{ state: "in_flight", attempts: 3, next_retry_at: 77, last_error: "service_unreachable" }],
      [{ state: "acked", ...none }],
    ])
  })

  test("superseded and failed, each op once", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [here, there, dead] = store.record({ key: "a" }, { key: "a" }, {})
    store.settle({ [there!]: "superseded", [dead!]: "no_access" })
    expect([here, there, dead].map((op) => store.state(op!))).toMatchObject([
      [{ state: "superseded" }],
      [{ state: "superseded" }],
      [{ state: "failed", last_error: "no_access" }],
    ])
  })

  test("failed also after the op itself was pruned", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [dead] = store.record({})
    store.settle({ [dead!]: "no_access" })
    store.db.run("delete from sturdy_op")
    expect(store.state(dead!)).toMatchObject([{ state: "failed", last_error: "no_access" }])
  })

  test("the op_id as the real ULID, for any 16 bytes", () => {
    using db = new ScopedDatabase(":memory:")
    const select = db.query<{ text: string }, [Uint8Array]>(`select ${ulidText("id")} as text from (select ?1 as id)`)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const { text } = select.get(bytes)!
        expect([text, isUlid(text)]).toEqual([ulidFromBytes(bytes), true])
      }),
    )
  })
})

describe("retention", () => {
  const week = limit.retained_ms

  test("keeps everything for seven days", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    for (let i = 0; i < 12; i++) {
      store.record(...Array.from({ length: 100 }, () => ({})))
      store.settle()
    }
    store.clock.turn(week)
    store.settle({}, {}, [])
    expect([store.stream().retained_ops, store.count("sturdy_op")]).toEqual([1_200, 1_200])
  })

  test("after that keeps at least 1,000 ops, and prunes whole batches with results and superseded", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    for (let i = 0; i < 12; i++) {
      store.record({ key: "a" }, { key: "a", want_result: true }, ...Array.from({ length: 99 }, () => ({})))
      store.settle()
    }
    store.clock.turn(week + 1)
    store.settle({}, {}, [])
    const { retained_ops, pruned_seq, pruned_op_id } = store.stream()
    expect([retained_ops, store.count("sturdy_op"), store.count("sturdy_batch")]).toEqual([1_000, 1_000, 10])
    expect([store.count("sturdy_result"), store.count("sturdy_superseded")]).toEqual([10, 10])
    expect([isUlid(pruned_op_id), pruned_seq % 2 ** 32]).toEqual([true, 202])
  })

  test("keeps within 16 MiB whatever their age", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const big = { args: ["x".repeat(1_000_000)] }
    for (let i = 0; i < 20; i++) {
      store.record(big)
      store.settle()
    }
    store.settle({}, {}, [])
    expect([store.stream().retained_ops, store.count("sturdy_op")]).toEqual([16, 16])
    expect(store.stream().retained_bytes).toBeLessThanOrEqual(limit.retained_bytes)
  })

  test("gives up nothing for a full outbox that is not settled, though it is frozen", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    store.record({})
    store.settle()
    const frozen = store.record({}, {})
    store.freeze()
    store.connection.transact("make room", () => store.settler.retention.makeRoom())
    expect([store.pendingIds(), store.count("sturdy_op"), store.count("sturdy_batch")]).toEqual([frozen, 2, 1])
  })

  test("never prunes a dead letter", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [dead] = store.record({})
    store.settle({ [dead!]: "no_access" })
    for (let i = 0; i < 11; i++) {
      store.record(...Array.from({ length: 100 }, () => ({})))
      store.settle()
    }
    store.clock.turn(week + 1)
    store.settle({}, {}, [])
    expect(store.knowledge.stateOf(store.stream(), dead!)).toMatchObject({ state: "dead", code: "no_access" })
  })

  test("a server that lost data gets the retained ops again, in the old batches, with the register it named", async () => {
    await using dir = tempDir()
    using store = openStore(dir.file())
    const [first, old, dead] = store.record({}, { key: "a" }, {})
    const [newer] = store.record({ key: "a" })
    const before = store.freeze()
    store.settle({ [dead!]: "no_access" })
    const [waiting] = store.record({})
    store.settle({}, { reset: { cursor: 0, head_op_id: null } }, [])
    const { base_cursor, base_head_op_id, settled_op_id, dead_count, reset_count } = store.stream()
    expect([base_cursor, base_head_op_id, settled_op_id, dead_count, reset_count]).toEqual([0, null, null, 0, 1])
    expect([store.pendingIds(), store.pending()]).toEqual([[first!, dead!, newer!, waiting!], 4])
    const after = store.freeze()
    const parts = (batches: typeof after) => batches.map(({ batch_id, ops }) => ({ batch_id, ops }))
    expect(parts(after).slice(0, 1)).toEqual(parts(before))
    expect(store.state(old!)).toMatchObject([{ state: "superseded" }])
  })
})

/** Counts the bytes of args that leave the database. */
class CountingDatabase extends ScopedDatabase {
  bytes = 0

  override prepare<Row, Params extends SQLQueryBindings | SQLQueryBindings[]>(sql: string) {
    const statement = super.prepare<Row, Params>(sql)
    const count = (row: unknown) => {
      if (typeof row === "object" && row !== null && "args" in row) this.bytes += String(row.args).length
    }
    const { all, get, iterate } = statement
    statement.all = (...given) => {
      const rows = all.apply(statement, given)
      rows.forEach(count)
      return rows
    }
    statement.get = (...given) => {
      const row = get.apply(statement, given)
      count(row)
      return row
    }
    statement.iterate = function* (...given) {
      for (const row of iterate.apply(statement, given)) {
        count(row)
        yield row
      }
    }
    return statement
  }
}

test("freezing large ops reads what the window takes and one step more, not all that wait", async () => {
  await using dir = tempDir()
  using db = new CountingDatabase(dir.file())
  db.run("pragma journal_mode = wal")
  db.run("pragma synchronous = normal")
  const store = openStore(db)
  const bytes = 300_000
  const bytes_max = 2 * 1024 * 1024
  const step = 16
  store.record(...Array.from({ length: 60 }, () => ({ args: ["x".repeat(bytes)] })))
  db.bytes = 0
  const ops = store.freeze({ batches_max: 8, bytes_max }).flatMap((batch) => batch.ops)
  expect(ops.length).toBeGreaterThan(3)
  expect(db.bytes).toBeGreaterThanOrEqual(ops.length * bytes)
  expect(db.bytes).toBeLessThan(bytes_max + (step + 1) * bytes)
})
