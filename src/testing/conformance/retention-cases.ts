/** What is kept and for how long; a removal; a server that lost data; and the host's own transaction. */
import * as limit from "../../intent/limit.ts"
import { settlementOf, wholeWindow } from "./store-parts.ts"
import type { StoreCase } from "./store-case.ts"
import type { StoreTrial } from "./store-trial.ts"

const many = (count: number) => Array.from({ length: count }, () => ({}))

/** Settles so many batches of 100 ops. */
function drain({ store }: StoreTrial, batches: number): void {
  for (let n = 0; n < batches; n++) {
    store.record(...many(100))
    store.settle()
  }
}

export const retentionCases: readonly StoreCase[] = [
  {
    name: "settled ops are kept for seven days, then by whole batches down to 1,000; settled_op_id outlives them",
    run: (t) => {
      drain(t, 12)
      t.clock.turn(limit.retained_ms)
      t.store.settle({}, {}, [])
      t.same("kept within seven days", [t.store.stream().retained_ops, t.count("sturdy_op")], [1_200, 1_200])
      t.clock.turn(1)
      const { settled_op_id } = t.store.stream()
      t.store.settle({}, {}, [])
      const row = t.reopen().stream()
      t.same("kept after that", [row.retained_ops, t.count("sturdy_op"), t.count("sturdy_batch")], [1_000, 1_000, 10])
      t.same("settled_op_id", row.settled_op_id, settled_op_id)
    },
  },
  {
    name: "settled ops are kept within 16 MiB whatever their age, and a dead letter whatever is pruned",
    run: (t) => {
      const [dead] = t.store.record({})
      t.store.settle({ [dead!]: "no_access" })
      for (let n = 0; n < 20; n++) {
        t.store.record({ args: ["x".repeat(1_000_000)] })
        t.store.settle()
      }
      t.store.settle({}, {}, [])
      const { retained_ops, retained_bytes } = t.store.stream()
      t.same("kept", [retained_ops, retained_bytes <= limit.retained_bytes], [16, true])
      t.same("the dead letter", t.store.stateOf(dead!)?.state, "dead")
    },
  },
  {
    name: "after a removal was recorded nothing is recorded or frozen, and its settlement discards what waits",
    run: (t) => {
      const [op] = t.store.record({ capture_id: "event_1", key: "a", only_if_changed: true })
      t.store.streams.recordRemoval(t.store.stream_id)
      t.reopen()
      t.refuses("recording", "stream_closed", () => t.store.record({}))
      t.same("batches", t.store.freeze(), [])
      t.same("pending", t.store.pending(), 1)
      t.store.settle({}, { patch: { time_closed: t.clock.now() } }, [])
      t.same("pending when it is settled", t.store.pending(), 0)
      t.same("what became of the op", t.store.stateOf(op!), { state: "discarded" })
      t.same("what is known of events and items", [t.count("sturdy_capture"), t.count("sturdy_item")], [0, 0])
    },
  },
  {
    name: "a server that lost data gets what is retained again, in the old order and batches, from the register it named",
    run: (t) => {
      const [first, old, dead] = t.store.record({}, { key: "a" }, {})
      const [newer] = t.store.record({ key: "a" })
      const before = t.store.freeze().map(({ batch_id, ops }) => ({ batch_id, ops }))
      t.store.settle({ [dead!]: "no_access" })
      const [waiting] = t.store.record({})
      t.store.settle({}, { reset: { cursor: 7, head_op_id: null } }, [])
      t.reopen()
      t.same("what waits", [t.store.pendingIds(), t.store.pending()], [[first, dead, newer, waiting], 4])
      const { base_cursor, base_head_op_id, settled_op_id, dead_count, reset_count } = t.store.stream()
      const row = [base_cursor, base_head_op_id, settled_op_id, dead_count, reset_count]
      t.same("base, settled, dead letters, resets", row, [7, null, null, 0, 1])
      const after = t.store.freeze().map(({ batch_id, ops }) => ({ batch_id, ops }))
      t.same("the first batch", after[0], before[0])
      t.same("what was superseded here stays so", t.store.stateOf(old!)?.state, "superseded")
    },
  },
  {
    name: "after a reset settled_op_id is the op before the oldest that is retained",
    run: (t) => {
      drain(t, 11)
      t.clock.turn(limit.retained_ms + 1)
      t.store.settle({}, {}, [])
      const { pruned_op_id } = t.store.stream()
      t.store.settle({}, { reset: { cursor: 0, head_op_id: null } }, [])
      t.same("pruned some", pruned_op_id !== null, true)
      t.same("settled_op_id and pending", [t.store.stream().settled_op_id, t.store.pending()], [pruned_op_id, 1_000])
    },
  },
  {
    name: "in the host's open transaction an op is recorded with what the host writes, and commits with it",
    host: true,
    run: (t) => {
      const { db } = t.store
      db.run("create table host_diary (entry text)")
      db.run("begin")
      db.run("insert into host_diary values ('one')")
      const [op] = t.store.record({ key: "a" })
      const refused = () => t.store.unit([{ capture_id: "event_1" }, { args: ["x".repeat(5_000_000)] }])
      t.refuses("a unit with an op over the limit", "op_too_large", refused)
      db.run("insert into host_diary values ('two')")
      db.run("commit")
      t.reopen()
      t.same("the op and the entries", [t.store.pendingIds(), t.count("host_diary")], [[op], 2])
    },
  },
  {
    name: "a rollback of the host's takes the op, its capture and its bookmark along, and gives back what it replaced",
    host: true,
    run: (t) => {
      const { db } = t.store
      const [a] = t.store.record({ key: "a" })
      const before = t.rows()
      db.run("begin")
      t.store.unit([{ key: "a", capture_id: "event_1" }], { source: "source", place: 1 })
      t.store.record({ key: "a" })
      db.run("rollback")
      t.same("the rows", t.rows(), before)
      const [newer] = t.store.record({ key: "a", capture_id: "event_1" })
      t.same("what waits", t.store.pendingIds(), [newer])
      t.same("what it replaced", t.store.stateOf(a!), { state: "superseded", by_op_id: newer })
    },
  },
  {
    name: "nothing is frozen, settled, leased or opened while the host's transaction is open: busy",
    host: true,
    run: (t) => {
      const { db, freezer, settler, lease, stream_id } = t.store
      t.store.record({})
      const term = t.store.term()
      const batches = t.store.freeze()
      t.clock.turn(limit.lease_ms)
      db.run("begin")
      t.refuses("freezing", "busy", () => freezer.freeze(term, stream_id, () => wholeWindow))
      t.refuses("settling", "busy", () => settler.settle(term, stream_id, settlementOf(batches)))
      t.refuses("the lease", "busy", () => lease.acquire())
      t.refuses("a new stream", "busy", () => t.other())
      db.run("rollback")
      t.store.settle({}, {}, batches)
      t.same("pending", t.store.pending(), 0)
    },
  },
]
