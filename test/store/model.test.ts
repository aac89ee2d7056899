/** The store against a plain array: random recording, coalescing, freezing, settling, reset and reopening. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import * as limit from "../../src/intent/limit.ts"
import { tempDir } from "../temp-dir.ts"
import { type Box, openStore, settlementOf } from "./box.ts"

interface ModelOp {
  op_id: string
  key: string | undefined
  depends_on: string[]
  supersedes: string[]
  alone: boolean
  state: "pending" | "frozen" | "applied" | "dead" | "superseded"
}

interface Model {
  ops: ModelOp[]
  captured: Map<string, string>
}

interface Real {
  file: string
  store: Box
}

const live = (model: Model) => model.ops.filter((op) => op.state === "pending" || op.state === "frozen")

/** The op that a new one replaces, by the words of ARCHITECTURE.md and RecordInput alone. */
function replacedBy(model: Model, key: string | undefined, depends_on: readonly string[]): ModelOp | undefined {
  const latest = key === undefined ? undefined : live(model).findLast((op) => op.key === key)
  if (!latest || latest.state !== "pending" || !latest.alone) return
  const names = [latest.op_id, ...latest.supersedes]
  const needed = [...live(model).flatMap((op) => op.depends_on), ...depends_on]
  return names.some((name) => needed.includes(name)) || latest.supersedes.length >= limit.supersedes_max
    ? undefined
    : latest
}

function check(model: Model, { store }: Real): void {
  expect(store.pendingIds()).toEqual(live(model).map((op) => op.op_id))
  // The pending count is a formula over one row; the rows are the truth.
  const rows = store.db.query<{ n: number }, [number]>("select count(*) as n from sturdy_op where seq > ?")
  expect(store.pending()).toBe(rows.get(store.stream().cursor)!.n)
  const words = { pending: "pending", frozen: "in_flight", applied: "acked", dead: "failed", superseded: "superseded" }
  const known = store.db.query<{ op_id: string; state: string }, []>("select op_id, state from op_state").all()
  expect(Object.fromEntries(known.map((row) => [row.op_id, row.state]))).toEqual(
    Object.fromEntries(model.ops.map((op) => [op.op_id, words[op.state]])),
  )
}

class Record implements fc.Command<Model, Real> {
  constructor(
    readonly key: string | undefined,
    readonly on: number | undefined,
    readonly capture: number | undefined,
  ) {}
  check = () => true
  run(model: Model, real: Real): void {
    const on = this.on === undefined ? undefined : model.ops.at(-1 - this.on)?.op_id
    const depends_on = on === undefined ? [] : [on]
    const capture_id = this.capture === undefined ? undefined : `event_${this.capture}`
    const earlier = capture_id === undefined ? undefined : model.captured.get(capture_id)
    const replaced = earlier === undefined ? replacedBy(model, this.key, depends_on) : undefined
    const [op_id] = real.store.record({ key: this.key, depends_on, capture_id }) as [string]
    if (earlier !== undefined) expect(op_id).toBe(earlier)
    else {
      if (capture_id !== undefined) model.captured.set(capture_id, op_id)
      if (replaced) replaced.state = "superseded"
      const supersedes = replaced ? [replaced.op_id, ...replaced.supersedes] : []
      model.ops.push({ op_id, key: this.key, depends_on, supersedes, alone: true, state: "pending" })
    }
    check(model, real)
  }
  toString = () => `record ${this.key ?? "-"} on ${this.on ?? "-"} capture ${this.capture ?? "-"}`
}

class Unit implements fc.Command<Model, Real> {
  constructor(readonly keys: (string | undefined)[]) {}
  check = () => true
  run(model: Model, real: Real): void {
    for (const [i, { op_id }] of real.store.unit(this.keys.map((key) => ({ key }))).entries())
      model.ops.push({ op_id, key: this.keys[i], depends_on: [], supersedes: [], alone: false, state: "pending" })
    check(model, real)
  }
  toString = () => `unit ${this.keys.join(",")}`
}

class FailingUnit implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    const unit = [{ key: "a", capture_id: "event_0" }, { args: ["x".repeat(limit.op_bytes_max)] }]
    expect(() => real.store.unit(unit)).toThrow("nothing was written")
    check(model, real)
  }
  toString = () => "failing unit"
}

class Freeze implements fc.Command<Model, Real> {
  constructor(readonly batches_max: number) {}
  check = () => true
  run(model: Model, real: Real): void {
    const batches = real.store.freeze({ batches_max: this.batches_max, bytes_max: limit.post_bytes_max })
    const ids = new Set(batches.flatMap((batch) => batch.ops.map((op) => op.op_id)))
    for (const op of model.ops) if (ids.has(op.op_id)) op.state = "frozen"
    check(model, real)
  }
  toString = () => `freeze ${this.batches_max}`
}

class Settle implements fc.Command<Model, Real> {
  constructor(readonly rejectEvery: number) {}
  check = () => true
  run(model: Model, real: Real): void {
    const batches = real.store.freeze({ batches_max: 1, bytes_max: limit.post_bytes_max })
    const ids = batches.flatMap((batch) => batch.ops.map((op) => op.op_id))
    const dead = new Set(ids.filter((_, i) => this.rejectEvery > 0 && i % this.rejectEvery === 0))
    const rejected = Object.fromEntries([...dead].map((op_id) => [op_id, "no_access"]))
    real.store.settler.settle(real.store.term(), real.store.stream_id, settlementOf(batches, rejected))
    for (const op of model.ops) if (ids.includes(op.op_id)) op.state = dead.has(op.op_id) ? "dead" : "applied"
    check(model, real)
  }
  toString = () => `settle, reject every ${this.rejectEvery}`
}

/** The server lost everything: what was settled is pending again, in the old order, and frozen as it was. */
class Reset implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    real.store.settle({}, { reset: { cursor: 0, head_op_id: null } }, [])
    for (const op of model.ops) if (op.state === "applied" || op.state === "dead") op.state = "frozen"
    check(model, real)
  }
  toString = () => "reset"
}

class Reopen implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    const { clock } = real.store
    real.store.close()
    clock.turn(limit.lease_ms)
    real.store = openStore(real.file, { clock })
    check(model, real)
  }
  toString = () => "reopen"
}

const key = fc.option(fc.constantFrom("a", "b"), { nil: undefined })
const some = (max: number) => fc.option(fc.nat(max), { nil: undefined, freq: 1 })

test("the store agrees with a plain array whatever is done to it, and the pending count with the rows", async () => {
  await using dir = tempDir()
  let run = 0
  fc.assert(
    fc.property(
      fc.commands(
        [
          fc.tuple(key, some(5), some(4)).map(([key, on, capture]) => new Record(key, on, capture)),
          fc.tuple(key, some(5), some(4)).map(([key, on, capture]) => new Record(key, on, capture)),
          fc.array(key, { minLength: 2, maxLength: 4 }).map((keys) => new Unit(keys)),
          fc.constant(new FailingUnit()),
          fc.integer({ min: 1, max: 3 }).map((max) => new Freeze(max)),
          fc.nat(3).map((every) => new Settle(every)),
          fc.constant(new Reset()),
          fc.constant(new Reopen()),
        ],
        { maxCommands: 40, size: "max" },
      ),
      (commands) => {
        const file = dir.file(`${run++}.db`)
        const real: Real = { file, store: openStore(file) }
        try {
          fc.modelRun(() => ({ model: { ops: [], captured: new Map() }, real }), commands)
        } finally {
          real.store.close()
        }
      },
    ),
    { numRuns: 50 },
  )
}, 30_000)
