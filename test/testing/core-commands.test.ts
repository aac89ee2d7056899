/**
 * The decision core against the oracle, by commands that fast-check chooses and shrinks: outboxes that record, send, are
 * copied and restored, a network that doubles, delays and loses, a service that is killed, rolled back and revoked. A
 * failure prints seed and path: `FC="seed path"` repeats it.
 */
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Grant } from "../../src/wire/contract.ts"
import { type Answer, Oracle, type OracleBatch, type OracleOp } from "./oracle.ts"
import { RealCore } from "./real-core.ts"
import { patience_ms, repeated } from "./repeated.ts"

/** An outbox, as far as a service can tell. */
interface Outbox {
  writer: string
  cursor: number
  head: string | null
  settled: string | null
  pending: OracleOp[]
  retained: OracleOp[]
}

class Model {
  readonly oracle: Oracle
  outboxes: Outbox[] = [0, 1].map((n) => outboxOf(`writer_number_${n}_of_the_model`))
  /** Batches on their way, and those that arrived and may do so again. */
  network: { outbox: Outbox; batches: OracleBatch[] }[] = []
  ops: OracleOp[] = []
  /** At which epoch the grant in use was redeemed. */
  epoch = 1
  backup: Oracle["state"] | undefined

  constructor(ops_max: number) {
    this.oracle = new Oracle(ops_max)
  }

  newOp(more: Partial<OracleOp>): OracleOp {
    const number = this.ops.length
    const op_id = `01HF7YAT00${String(number).padStart(16, "0")}`
    const op: OracleOp = { op_id, content: `content ${number}`, does: "write", depends_on: [], supersedes: [], ...more }
    this.ops.push(op)
    return op
  }
}

class Real {
  readonly core = new RealCore()
  grant: Grant = this.core.redeem("writer_of_the_grant")
  backup: ReturnType<RealCore["snapshot"]> | undefined
  readonly reached: Record<string, number>

  constructor(reached: Record<string, number>) {
    this.reached = reached
  }

  count(what: string): void {
    this.reached[what] = (this.reached[what] ?? 0) + 1
  }
}

function outboxOf(writer: string): Outbox {
  return { writer, cursor: 0, head: null, settled: null, pending: [], retained: [] }
}

function pick<T>(of: readonly T[], nth: number): T {
  return of[nth % of.length]!
}

/** The one place where both are asked, and must agree. */
function decide(model: Model, real: Real, batch: OracleBatch): Answer | "crashed" {
  const wanted = model.oracle.append(batch, model.epoch)
  const got = real.core.append(real.grant, batch)
  expect(got).toEqual(wanted)
  if (got === "crashed") real.count("crashed")
  else if ("refused" in got) real.count(got.refused)
  else {
    real.count(got.applied.length ? "decided" : "again")
    for (const [, code] of got.rejected) real.count(code)
  }
  return got
}

/** As an outbox does it; false at the first answer that is no Ack. */
function settle(outbox: Outbox, batch: OracleBatch, answer: Answer | "crashed"): boolean {
  // One that crashed would for ever: its handler is repaired.
  if (answer === "crashed") for (const op of batch.ops) if (op.does === "crash") op.does = "write"
  if (answer === "crashed" || !answer.register) return false
  outbox.cursor = answer.register.cursor
  outbox.head = answer.register.head
  if ("refused" in answer) {
    if (answer.refused !== "server_reset") return false
    outbox.pending = [...outbox.retained, ...outbox.pending]
    outbox.retained = []
    outbox.settled = null
    return false
  }
  const ids = new Set(batch.ops.map((op) => op.op_id))
  outbox.retained.push(...outbox.pending.filter((op) => ids.has(op.op_id)))
  outbox.pending = outbox.pending.filter((op) => !ids.has(op.op_id))
  outbox.settled = outbox.retained.at(-1)?.op_id ?? null
  return true
}

abstract class Step<Said extends object> implements fc.Command<Model, Real> {
  constructor(readonly said: Said) {}

  check = (model: Readonly<Model>) => this.may(model) && !model.oracle.state.removed

  run(model: Model, real: Real): void {
    this.act(model, real)
    expect(real.core.effects).toEqual(model.oracle.state.effects)
  }

  may(_model: Readonly<Model>): boolean {
    return true
  }

  abstract act(model: Model, real: Real): void

  toString = () => `${this.constructor.name} ${JSON.stringify(this.said)}`
}

class RecordOps extends Step<{ at: number; ops: { does: OracleOp["does"]; on: number; replace: boolean }[] }> {
  act(model: Model): void {
    const outbox = pick(model.outboxes, this.said.at)
    for (const { does, on, replace } of this.said.ops) {
      const known = [...outbox.retained, ...outbox.pending]
      // Half of the places stand for none, the last one for an op that was never sent.
      const missing = on === 9 ? [`01HF7YAT01${String(model.ops.length).padStart(16, "0")}`] : []
      const depends_on = on < 4 && known.length ? [pick(known.toReversed(), on).op_id] : missing
      const older = outbox.pending.at(-1)
      const replaces = replace && older && !depends_on.includes(older.op_id)
      if (replaces) outbox.pending.pop()
      const supersedes = replaces ? [older.op_id, ...older.supersedes] : []
      outbox.pending.push(model.newOp({ does, depends_on, supersedes }))
    }
  }
}

/** A window of batches leaves, each made for the register after the one before it. */
class Send extends Step<{ at: number; sizes: number[] }> {
  act(model: Model): void {
    const outbox = pick(model.outboxes, this.said.at)
    const { writer, settled } = outbox
    let { cursor, head } = outbox
    let from = 0
    const batches: OracleBatch[] = []
    for (const size of this.said.sizes) {
      const ops = outbox.pending.slice(from, from + size)
      if (!ops.length) break
      batches.push({ writer, cursor, head, settled, ops })
      from += size
      cursor += ops.length
      head = ops.at(-1)!.op_id
    }
    if (batches.length) model.network.push({ outbox, batches })
  }
}

class Arrive extends Step<{ nth: number; again: boolean; cut: boolean; lost: boolean }> {
  override may(model: Model): boolean {
    return model.network.length > 0
  }

  act(model: Model, real: Real): void {
    const { nth, again, cut, lost } = this.said
    const post = pick(model.network, nth)
    if (!again) model.network.splice(model.network.indexOf(post), 1)
    const reached = cut ? post.batches.slice(0, 1) : post.batches
    const answers = reached.map((batch) => decide(model, real, batch))
    if (lost) return
    for (const [index, answer] of answers.entries()) if (!settle(post.outbox, post.batches[index]!, answer)) return
  }
}

/** Ops of anybody under the envelope of anybody, right in all but one thing. */
class Nonsense extends Step<{ at: number; nth: number; wrong: number }> {
  override may(model: Model): boolean {
    return model.ops.length > 0
  }

  act(model: Model, real: Real): void {
    const { writer, cursor, head, settled } = pick(model.outboxes, this.said.at)
    const op = pick(model.ops, this.said.nth)
    const calm = { ...op, does: op.does === "crash" ? "write" : op.does } as OracleOp
    const batch = { writer, cursor, head, settled, ops: [calm] }
    const replaced = model.ops.find(({ op_id }) => model.ops.some((op) => op.supersedes.includes(op_id)))
    const wrong: (() => OracleBatch)[] = [
      () => batch,
      () => ({ ...batch, ops: [] }),
      () => ({ ...batch, ops: [calm, calm] }),
      () => ({ ...batch, settled: "01HF7YAT02AAAAAAAAAAAAAAAA" }),
      () => ({ ...batch, settled: op.op_id }),
      () => ({ ...batch, ops: [{ ...calm, content: "other" }] }),
      () => ({ ...batch, cursor: cursor + 1, ops: [model.newOp({})] }),
      () => ({ ...batch, head: op.op_id, ops: [model.newOp({})] }),
      () => ({ ...batch, cursor: 0, head: null }),
      () => ({ ...batch, ops: [{ ...calm, supersedes: [model.newOp({}).op_id] }] }),
      () => ({ ...batch, ops: [calm, model.newOp({})], cursor: cursor + 5 }),
      () => ({ ...batch, writer: "writer_that_is_new", cursor: 0, head: null }),
      () => ({ ...batch, ops: [replaced ?? calm] }),
    ]
    decide(model, real, pick(wrong, this.said.wrong)())
  }
}

class Copy extends Step<{ at: number }> {
  act(model: Model): void {
    const outbox = pick(model.outboxes, this.said.at)
    model.outboxes.push({ ...outbox, pending: [...outbox.pending], retained: [...outbox.retained] })
  }
}

class BackUp extends Step<object> {
  act(model: Model, real: Real): void {
    model.backup = structuredClone(model.oracle.state)
    real.backup = real.core.snapshot()
  }
}

class RollBack extends Step<object> {
  override may(model: Model): boolean {
    return model.backup !== undefined
  }

  act(model: Model, real: Real): void {
    model.oracle.state = structuredClone(model.backup!)
    real.core.restore(real.backup!)
    real.count("rolled back")
  }
}

class RaiseEpoch extends Step<object> {
  act(model: Model, real: Real): void {
    model.oracle.state.epoch += 1
    real.core.raiseEpoch()
  }
}

class Redeem extends Step<object> {
  act(model: Model, real: Real): void {
    real.grant = real.core.redeem("writer_of_the_grant")
    model.epoch = model.oracle.state.epoch
    expect(real.grant.epoch).toBe(model.epoch)
  }
}

/** What is on its way arrives at a tombstone. */
class Remove extends Step<{ rarely: number }> {
  override may(): boolean {
    return this.said.rarely === 0
  }

  act(model: Model, real: Real): void {
    model.oracle.remove()
    real.core.remove()
    for (const { batches } of model.network) for (const batch of batches) decide(model, real, batch)
  }
}

const at = fc.nat(5)
const does = fc.constantFrom<OracleOp["does"][]>("write", "write", "write", "write", "poison", "crash")
const op = fc.record({ does, on: fc.nat(9), replace: fc.integer({ min: 0, max: 3 }).map((n) => n === 0) })
const oneOf = (of: number) => fc.nat(of - 1).map((n) => n === 0)
const recordOps = fc
  .record({ at, ops: fc.array(op, { minLength: 1, maxLength: 4 }) })
  .map((said) => new RecordOps(said))
const send = fc
  .record({ at, sizes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }) })
  .map((said) => new Send(said))
const arrive = fc
  .record({ nth: fc.nat(9), again: oneOf(4), cut: oneOf(8), lost: oneOf(4) })
  .map((said) => new Arrive(said))
/** Other content and superseded ops more often: they need ops that are known. */
const wrong = fc.oneof(fc.nat(12), fc.constantFrom(5, 12))
const nonsense = fc.record({ at, nth: fc.nat(99), wrong }).map((said) => new Nonsense(said))

const commands: fc.Arbitrary<fc.Command<Model, Real>>[] = [
  recordOps,
  recordOps,
  recordOps,
  send,
  send,
  arrive,
  arrive,
  arrive,
  nonsense,
  nonsense,
  at.map((at) => new Copy({ at })),
  fc.constant(new BackUp({})),
  fc.constant(new RollBack({})),
  fc.constant(new RaiseEpoch({})),
  fc.constant(new Redeem({})),
  fc.constant(new Redeem({})),
  fc.nat(5).map((rarely) => new Remove({ rarely })),
]

test(
  "the decision core answers every history of commands as the oracle does",
  () => {
    const reached: Record<string, number> = {}
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 60, size: "max" }), (steps) => {
        const real = new Real(reached)
        try {
          fc.modelRun(() => ({ model: new Model(real.core.ops_max), real }), steps)
        } finally {
          real.core.close()
        }
      }),
      { numRuns: 800, ...repeated() },
    )
    if (process.env.TOTALS) console.log(reached)
    if (process.env.FC) return
    const answers = ["decided", "again", "gap", "server_reset", "stale_epoch", "share_removed", "malformed", "crashed"]
    const codes = ["poison", "dependency_missing", "dependency_rejected", "superseded", "conflicting_op", "rolled back"]
    expect([...answers, ...codes].filter((what) => (reached[what] ?? 0) < 5)).toEqual([])
  },
  patience_ms,
)

test("a batch over the limit of ops is too_large whatever it was made for", () => {
  const real = new Real({})
  const model = new Model(real.core.ops_max)
  const ops = Array.from({ length: real.core.ops_max + 1 }, () => model.newOp({}))
  const { writer, cursor, head } = model.outboxes[0]!
  decide(model, real, { writer, cursor, head, settled: "01HF7YAT02AAAAAAAAAAAAAAAA", ops })
  expect(real.reached).toEqual({ too_large: 1 })
  real.core.close()
})
