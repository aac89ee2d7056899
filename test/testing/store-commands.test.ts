/**
 * The store against plain arrays: two processes on one outbox record, freeze, settle, retry, prune, lose their lease and
 * are opened again, in any order. A failure prints seed and path: `FC="seed path"` repeats it.
 */
import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import fc from "fast-check"
import * as limit from "../../src/intent/limit.ts"
import { openStoreParts, settlementOf, type StoreParts } from "../../src/testing/conformance/store-parts.ts"
import { checkInvariants } from "../../src/inspect/invariant/check.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { errorOf } from "../sturdy-error.ts"
import { patience_ms, repeated } from "./repeated.ts"
import { type Asked, retryId, StoreModel } from "./store-model.ts"

const ref = {
  service: "https://share.example/rpc/share",
  share_id: "share_of_the_model",
  secret: "secret_of_the_model",
}
const oversized = { args: ["x".repeat(limit.op_bytes_max)] }

/** An outbox without an op, once: migrations take longer than a history. */
const empty = (() => {
  const database = new Database(":memory:")
  openStoreParts({ database }, ref).close()
  const bytes = database.serialize()
  database.close()
  return bytes
})()

class Real {
  readonly database = Database.deserialize(empty)
  readonly clock = new ManualClock()
  /** Two handles in one process stand for two processes: each with a memory of its own of what may be replaced. */
  readonly stores: StoreParts[] = [0, 1].map(() => this.open())
  readonly reached: Record<string, number>

  constructor(reached: Record<string, number>) {
    this.reached = reached
  }

  open(): StoreParts {
    return openStoreParts({ database: this.database }, ref, { clock: this.clock })
  }

  /** The store, with the lease. The other one, if it held it, changes nothing any more. */
  holder(which: number): StoreParts {
    const store = this.stores[which]!
    const held = store.lease.read()
    if (held && held.owner !== store.lease.owner && held.time_expires > this.clock.now()) {
      this.clock.turn(limit.lease_ms)
      store.term()
      const late = this.stores[1 - which]!
      const window = () => ({ batches_max: 8, bytes_max: limit.post_bytes_max })
      if (late.lease.owner === held.owner) {
        expect(late.freezer.freeze(held.term, late.stream_id, window)).toBeUndefined()
        expect(late.settler.settle(held.term, late.stream_id, settlementOf([]))).toBeUndefined()
      }
      this.count("taken over")
    }
    return store
  }

  count(what: string): void {
    this.reached[what] = (this.reached[what] ?? 0) + 1
  }

  close(): void {
    for (const store of this.stores) store.close()
    this.database.close()
  }
}

abstract class Step implements fc.Command<StoreModel, Real> {
  constructor(readonly which: number) {}

  check(model: StoreModel): boolean {
    return !model.removed
  }

  run(model: StoreModel, real: Real): void {
    this.act(model, real.stores[this.which]!, real)
    compare(model, real.stores[1 - this.which]!)
  }

  abstract act(model: StoreModel, store: StoreParts, real: Real): void

  toString(): string {
    const { which, ...said } = this
    return `${this.constructor.name} by ${which} ${JSON.stringify(said)}`
  }
}

function compare(model: StoreModel, store: StoreParts): void {
  const stream = store.stream()
  const rows = store.db.query<{ op_id: string; state: string }, []>("select op_id, state from op_state").all()
  const { words } = model
  expect(Object.fromEntries(rows.map((row) => [row.op_id, row.state]))).toEqual(words)
  expect(rows.length).toBe(Object.keys(words).length)
  const waiting = rows.filter(({ state }) => state === "pending" || state === "in_flight").map((row) => row.op_id)
  expect(waiting).toEqual(model.closed ? [] : model.live.map((op) => op.op_id))
  expect(store.pending()).toBe(waiting.length)
  const ids = [...model.everyId]
  const states = ids.map((op_id) => store.knowledge.stateOf(stream, op_id)?.state)
  expect(states).toEqual(ids.map((op_id) => model.stateOf(op_id) as never))
  expect(stream.dead_count).toBe(model.undecided().length)
  expect(store.recorder.captures.bookmark("source")?.place).toBe(model.bookmark)
}

class RecordOp extends Step {
  constructor(
    which: number,
    readonly asked: Omit<Asked, "depends_on"> & { on: number | undefined },
  ) {
    super(which)
  }

  act(model: StoreModel, store: StoreParts, real: Real): void {
    const { on, key, capture, content, onKey, stale } = this.asked
    // One of the latest, or a dead letter that nobody has decided about.
    const dead = on === undefined || on < 6 ? [] : model.undecided()
    const dependency = on === undefined ? undefined : (dead[0] ?? [...model.everyId].at(-1 - on))
    const asked: Asked = { key, capture, content, onKey, stale, depends_on: dependency ? [dependency] : [] }
    const standIn = model.standIn(asked)
    const only = {
      key,
      depends_on: asked.depends_on,
      capture_id: capture,
      only_if_changed: content !== undefined,
      args: [content ?? "plain"],
      stale,
      ...(onKey !== undefined && { depends_on_keys: [onKey] }),
    }
    const { op_id, superseded_op_id } = store.unit([only])[0]!
    if (standIn !== "fresh") real.count("stood for")
    if (standIn !== "fresh" && standIn !== undefined) expect(op_id).toBe(standIn)
    const before = model.live.length
    model.record(op_id, asked, superseded_op_id)
    if (standIn === "fresh" && model.live.length === before) real.count("replaced")
  }
}

class Unit extends Step {
  constructor(
    which: number,
    readonly keys: (string | undefined)[],
    readonly place: number,
  ) {
    super(which)
  }

  act(model: StoreModel, store: StoreParts): void {
    const recorded = store.unit(
      this.keys.map((key) => ({ key })),
      { source: "source", place: this.place },
    )
    const unit = ++model.units
    for (const [index, { op_id }] of recorded.entries()) model.append(op_id, this.keys[index], [], [], unit)
    model.bookmark = Math.max(model.bookmark ?? 0, this.place)
  }
}

class FailingUnit extends Step {
  act(_: StoreModel, store: StoreParts): void {
    const unit = [{ key: "a", capture_id: "event_0", only_if_changed: true }, { ends_keys: "a" }, oversized]
    expect(errorOf(() => store.unit(unit, { source: "source", place: 1_000 })).code).toBe("op_too_large")
  }
}

class EndKeys extends Step {
  act(model: StoreModel, store: StoreParts): void {
    const [op_id] = store.record({ ends_keys: "a" }) as [string]
    model.endKeys("a")
    model.append(op_id, undefined, [])
  }
}

/** Frozen batches are a prefix of what waits, whole units, and the same text whenever they go out. */
function freeze(model: StoreModel, store: StoreParts, batches_max: number, seal_bytes_max = limit.batch_seal_bytes) {
  const batches = store.freeze({ batches_max, bytes_max: limit.post_bytes_max, seal_bytes_max })
  const ids = batches.flatMap((batch) => batch.ops.map((op) => op.op_id))
  expect(ids).toEqual(model.live.slice(0, ids.length).map((op) => op.op_id))
  const next = model.live[ids.length]
  expect(next && model.live[ids.length - 1]?.unit === next.unit).not.toBe(true)
  for (const op of model.ops) if (ids.includes(op.op_id)) op.state = "frozen"
  for (const batch of batches) {
    const text = JSON.stringify(batch.ops)
    expect(text).toBe(model.sent.get(batch.batch_id) ?? text)
    model.sent.set(batch.batch_id, text)
  }
  for (const op of batches.flatMap((batch) => batch.ops)) {
    const { depends_on, supersedes } = model.ops.find(({ op_id }) => op_id === op.op_id)!
    expect([op.depends_on, op.supersedes ?? []]).toEqual([depends_on, supersedes])
  }
  return batches
}

class Freeze extends Step {
  constructor(
    which: number,
    readonly batches_max: number,
    /** Each unit is a batch of its own, so that some of what waits is frozen and some is not. */
    readonly narrow: boolean,
  ) {
    super(which)
  }

  act(model: StoreModel, _: StoreParts, real: Real): void {
    freeze(model, real.holder(this.which), this.batches_max, this.narrow ? 1 : undefined)
  }
}

type Decided = "applied" | "dead" | "superseded"

/** Settles the next batch. As at a service, what depends on a rejected op is rejected. */
function settleNext(model: StoreModel, store: StoreParts, real: Real, decide: (op_id: string, at: number) => Decided) {
  const batches = freeze(model, store, 1)
  const dead = new Set(model.undecided())
  const outcomes = batches
    .flatMap((batch) => batch.ops)
    .map(({ op_id, depends_on }, index): [string, Decided] => {
      const outcome = depends_on.some((on) => dead.has(on)) ? "dead" : decide(op_id, index)
      if (outcome === "dead") dead.add(op_id)
      return [op_id, outcome]
    })
  const codes = { dead: "no_access", superseded: "superseded", applied: "" }
  store.settle(Object.fromEntries(outcomes.map(([op_id, outcome]) => [op_id, codes[outcome]])), {}, batches)
  for (const [op_id, outcome] of outcomes) {
    model.settle(op_id, outcome)
    real.count(outcome)
  }
}

class Settle extends Step {
  constructor(
    which: number,
    /** Of the ops of the batch, in turn. */
    readonly outcomes: Decided[],
  ) {
    super(which)
  }

  act(model: StoreModel, _: StoreParts, real: Real): void {
    settleNext(model, real.holder(this.which), real, (_, index) => this.outcomes[index % this.outcomes.length]!)
  }
}

/** An op that is rejected, and others that hang on it. */
class Cascade extends Step {
  act(model: StoreModel, store: StoreParts, real: Real): void {
    const record = (...depends_on: string[]) => {
      const [op_id] = store.record({ depends_on }) as [string]
      model.append(op_id, undefined, depends_on)
      return op_id
    }
    const poison = record()
    record(record(poison), poison)
    const holder = real.holder(this.which)
    while (model.live.length) settleNext(model, holder, real, (op_id) => (op_id === poison ? "dead" : "applied"))
  }
}

/** The server lost everything. */
class Reset extends Step {
  act(model: StoreModel, _: StoreParts, real: Real): void {
    real.holder(this.which).settle({}, { reset: { cursor: 0, head_op_id: null } }, [])
    if (model.ops.some((op) => op.state === "applied")) real.count("reset")
    model.reset()
  }
}

/** The server loses everything twice, and decides otherwise each time. */
class Relapse extends Step {
  act(model: StoreModel, store: StoreParts, real: Real): void {
    for (const outcome of ["applied", "dead"] as const) {
      new Reset(this.which).act(model, store, real)
      while (model.live.length) settleNext(model, real.holder(this.which), real, () => outcome)
    }
  }
}

/** The outbox is full, and gives up what it only retained. */
class MakeRoom extends Step {
  act(model: StoreModel, store: StoreParts, real: Real): void {
    store.connection.transact("make room", () => store.settler.retention.makeRoom())
    if (model.ops.some((op) => op.state === "applied")) real.count("pruned")
    model.prune()
  }
}

abstract class OnLetter extends Step {
  constructor(
    which: number,
    readonly nth: number,
  ) {
    super(which)
  }

  letter(model: StoreModel): string | undefined {
    const undecided = model.undecided()
    return undecided[this.nth % undecided.length]
  }

  override check(model: StoreModel): boolean {
    return super.check(model) && model.undecided().length > 0
  }
}

class Discard extends OnLetter {
  act(model: StoreModel, store: StoreParts, real: Real): void {
    const op_id = this.letter(model)!
    expect(store.deadLetters.discard(store.stream_id, op_id).toSorted()).toEqual(model.discard(op_id).toSorted())
    real.count("discarded")
  }
}

class Retry extends OnLetter {
  act(model: StoreModel, store: StoreParts, real: Real): void {
    const op_id = this.letter(model)!
    const retry = () => store.deadLetters.retry(store.stream_id, op_id).retried
    if (model.deadUnder(op_id).length) {
      expect(errorOf(retry).code).toBe("dead_letter_dependent")
      return
    }
    const retried = retry()
    expect(retried.map((one) => one.op_id).toSorted()).toEqual(model.hangingOn(op_id, true).toSorted())
    // Of the outbox as it is now: an id that was pruned is not known any more.
    const known = new Set([...model.ops.map((op) => op.op_id), ...model.letters.keys()])
    for (const { op_id, as_op_id } of retried) {
      let count = 1
      while (known.has(retryId(op_id, count))) count += 1
      expect(as_op_id).toBe(retryId(op_id, count))
    }
    model.retry(retried)
    real.count(retried.length > 1 ? "retried with what hangs on it" : "retried")
  }
}

class Reopen extends Step {
  override check = () => true

  act(_: StoreModel, store: StoreParts, real: Real): void {
    store.close()
    real.stores[this.which] = real.open()
  }
}

/** The last intent of the stream, and perhaps its settlement. */
class Remove extends Step {
  constructor(
    which: number,
    readonly settled: boolean,
    readonly rarely: number,
  ) {
    super(which)
  }

  override check(model: StoreModel): boolean {
    return super.check(model) && this.rarely === 0
  }

  act(model: StoreModel, store: StoreParts, real: Real): void {
    store.streams.recordRemoval(store.stream_id)
    model.removed = true
    expect(errorOf(() => store.record({})).code).toBe("stream_closed")
    expect(real.holder(this.which).freeze()).toEqual([])
    real.count("removed")
    if (!this.settled) return
    real.holder(this.which).settle({}, { patch: { time_closed: real.clock.now() } }, [])
    model.close()
  }
}

const which = fc.nat(1)
const key = fc.option(fc.constantFrom("a", "ab", "b"), { nil: undefined })
/** In half of the cases; `freq: 1` would be none. */
const rarely = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined, freq: 2 })
const often = fc.record({
  key,
  on: rarely(fc.nat(9)),
  capture: rarely(fc.nat(4).map((n) => `event_${n}`)),
  content: rarely(fc.constantFrom("one", "two")),
  onKey: rarely(fc.constantFrom("a", "b")),
  stale: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
})
const plain = { on: undefined, capture: undefined, content: undefined, onKey: undefined, stale: false }
const record = fc.tuple(which, often).map(([which, asked]) => new RecordOp(which, asked))
const outcomes = fc.array(fc.constantFrom<Decided[]>("applied", "applied", "dead", "superseded"), {
  minLength: 1,
  maxLength: 4,
})

const keyed = fc.tuple(which, fc.constantFrom("a", "b")).map(([which, key]) => new RecordOp(which, { ...plain, key }))

const commands: fc.Arbitrary<fc.Command<StoreModel, Real>>[] = [
  record,
  record,
  keyed,
  keyed,
  keyed,
  fc
    .tuple(which, fc.array(key, { minLength: 2, maxLength: 4 }), fc.nat(20))
    .map(([which, keys, place]) => new Unit(which, keys, place)),
  which.map((which) => new FailingUnit(which)),
  which.map((which) => new EndKeys(which)),
  fc
    .tuple(which, fc.integer({ min: 1, max: 2 }), fc.boolean())
    .map(([which, max, narrow]) => new Freeze(which, max, narrow)),
  fc.tuple(which, outcomes).map(([which, outcomes]) => new Settle(which, outcomes)),
  fc.tuple(which, outcomes).map(([which, outcomes]) => new Settle(which, outcomes)),
  fc.tuple(which, fc.nat(9)).map(([which, nth]) => new Retry(which, nth)),
  fc.tuple(which, fc.nat(9)).map(([which, nth]) => new Discard(which, nth)),
  which.map((which) => new Cascade(which)),
  which.map((which) => new Reset(which)),
  which.map((which) => new Relapse(which)),
  which.map((which) => new MakeRoom(which)),
  which.map((which) => new Reopen(which)),
  fc.tuple(which, fc.boolean(), fc.nat(9)).map(([which, settled, rarely]) => new Remove(which, settled, rarely)),
]

test(
  "the store agrees with plain arrays whatever two processes do to it",
  () => {
    const reached: Record<string, number> = {}
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 40, size: "max" }), (steps) => {
        const real = new Real(reached)
        try {
          fc.modelRun(() => ({ model: new StoreModel(), real }), steps)
          expect([...checkInvariants(real.database)].filter(({ kind }) => kind === "finding")).toEqual([])
        } finally {
          real.close()
        }
      }),
      { numRuns: 250, ...repeated() },
    )
    if (process.env.TOTALS) console.log(reached)
    if (process.env.FC) return
    const rare = ["stood for", "replaced", "taken over", "applied", "dead", "superseded", "reset", "pruned", "removed"]
    const letters = ["retried", "discarded", "retried with what hangs on it"]
    expect([...rare, ...letters].filter((what) => !reached[what])).toEqual([])
  },
  patience_ms,
)
