/** One random history: outboxes record, send, lose, restore and copy; the real core and the oracle decide. */
import type { Grant } from "../../src/wire/contract.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { RealCore } from "./core.ts"
import { type Answer, Oracle, type OracleBatch, type OracleOp } from "./oracle.ts"

/** An outbox as far as the server can tell. */
interface Outbox {
  writer: string
  cursor: number
  head: string | null
  settled: string | null
  pending: OracleOp[]
  /** Settled ops, for a server that lost them. */
  retained: OracleOp[]
}

interface Sent {
  from: Outbox
  batches: OracleBatch[]
}

export class Walk implements Disposable {
  readonly counts: Record<string, number> = {}
  readonly #real = new RealCore()
  readonly #oracle = new Oracle(this.#real.ops_max)
  readonly #random: () => number
  readonly #outboxes: Outbox[] = []
  readonly #network: Sent[] = []
  readonly #ops: OracleOp[] = []
  readonly #history: string[] = []
  #backup: (() => void) | undefined
  #outboxBackup: Outbox | undefined
  #grant: { epoch: number; grant: Grant }

  constructor(readonly seed: number) {
    this.#random = mulberry32(Math.imul(seed, 0x9e3779b9))
    this.#grant = this.#redeem()
    for (const name of ["one", "two"]) this.#outboxes.push(this.#outbox(`writer_number_${name}`))
  }

  /** @throws with seed and history when the answers differ */
  run(steps: number): void {
    const actions: [weight: number, name: string, act: () => void][] = [
      [30, "record", () => this.#record(this.#pick(this.#outboxes))],
      [18, "send", () => this.#send(this.#pick(this.#outboxes))],
      [30, "arrive", () => this.#arrive()],
      [6, "replay", () => this.#sendAgain()],
      [6, "nonsense", () => this.#nonsense()],
      [3, "copy", () => this.#outboxes.push(clone(this.#pick(this.#outboxes)))],
      [3, "back up outbox", () => (this.#outboxBackup = clone(this.#pick(this.#outboxes)))],
      [3, "restore outbox", () => this.#outboxBackup && this.#outboxes.push(clone(this.#outboxBackup))],
      [3, "back up server", () => this.#backUp()],
      [2, "roll server back", () => this.#backup?.()],
      [2, "raise epoch", () => this.#raiseEpoch()],
      [9, "redeem", () => (this.#grant = this.#redeem())],
      [0.3, "remove", () => this.#remove()],
    ]
    const total = actions.reduce((sum, [weight]) => sum + weight, 0)
    for (let step = 0; step < steps; step++) {
      let at = this.#random() * total
      const [, name, act] = actions.find(([weight]) => (at -= weight) < 0)!
      this.#history.push(name)
      act()
    }
    this.#compare("effects", this.#real.effects, this.#oracle.state.effects)
  }

  sendTooMany(): void {
    const ops = Array.from({ length: this.#real.ops_max + 1 }, () => this.#op({}))
    this.#decide({ ...this.#envelope(this.#outboxes[0]!), settled: opId(999_999), ops })
  }

  [Symbol.dispose](): void {
    this.#real.close()
  }

  #outbox(writer: string): Outbox {
    return { writer, cursor: 0, head: null, settled: null, pending: [], retained: [] }
  }

  #record(outbox: Outbox): void {
    const known = [...outbox.retained, ...outbox.pending]
    const depends_on = known.length && this.#chance(0.25) ? [this.#pick(known).op_id] : []
    if (this.#chance(0.03)) depends_on.push(opId(500_000 + this.#ops.length))
    const older = outbox.pending.at(-1)
    const replaces = older && this.#chance(0.3) && !depends_on.includes(older.op_id)
    if (replaces) outbox.pending.pop()
    const supersedes = replaces ? [older.op_id, ...older.supersedes] : []
    const does = this.#chance(0.15) ? "poison" : this.#chance(0.04) ? "crash" : "write"
    outbox.pending.push(this.#op({ does, depends_on, supersedes }))
  }

  #op(more: Partial<OracleOp>): OracleOp {
    const op: OracleOp = {
      op_id: opId(this.#ops.length),
      content: `content ${this.#ops.length}`,
      does: "write",
      depends_on: [],
      supersedes: [],
      ...more,
    }
    this.#ops.push(op)
    return op
  }

  /** Up to three batches of up to three ops, each made for the register after the one before it. */
  #send(outbox: Outbox): void {
    if (!outbox.pending.length) return
    const batches: OracleBatch[] = []
    let at = 0
    let base = this.#envelope(outbox)
    for (let count = 0; count < 3 && at < outbox.pending.length; count++) {
      const ops = outbox.pending.slice(at, at + 1 + Math.floor(this.#random() * 3))
      batches.push({ ...base, ops })
      at += ops.length
      base = { ...base, cursor: base.cursor + ops.length, head: ops.at(-1)!.op_id }
    }
    this.#network.push({ from: outbox, batches })
  }

  #envelope({ writer, cursor, head, settled }: Outbox): Omit<OracleBatch, "ops"> {
    return { writer, cursor, head, settled }
  }

  /** A POST arrives, in any order, perhaps once more later; its answer may be lost; the server may die within it. */
  #arrive(): void {
    if (!this.#network.length) return
    const index = Math.floor(this.#random() * this.#network.length)
    const sent = this.#network[index]!
    if (!this.#chance(0.2)) this.#network.splice(index, 1)
    const reached = this.#chance(0.1) ? sent.batches.slice(0, 1) : sent.batches
    const answers = reached.map((batch) => this.#decide(batch))
    if (this.#chance(0.25)) return
    for (const [index, answer] of answers.entries()) if (!this.#settle(sent.from, sent.batches[index]!, answer)) return
  }

  /** As an outbox does it; false at the first answer that is no Ack. */
  #settle(outbox: Outbox, batch: OracleBatch, answer: Answer | "crashed"): boolean {
    // A handler that crashes would stand in the way for ever: its op is repaired.
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
    const settled = outbox.pending.filter((op) => ids.has(op.op_id))
    outbox.pending = outbox.pending.filter((op) => !ids.has(op.op_id))
    outbox.retained.push(...settled)
    outbox.settled = outbox.retained.at(-1)?.op_id ?? null
    return true
  }

  /** Ops of anybody, made for the register as it is, as it was, or for none. */
  #sendAgain(): void {
    if (!this.#ops.length) return
    const outbox = this.#pick(this.#outboxes)
    const replaced = this.#ops
      .flatMap((op) => op.supersedes)
      .map((op_id) => this.#ops.find((op) => op.op_id === op_id)!)
    const ops = [...new Set([this.#pick(this.#ops), this.#pick(replaced.length ? replaced : this.#ops)])]
    this.#decide({ ...this.#envelope(outbox), ops: ops.map((op) => ({ ...op, does: noCrash(op) })) })
  }

  #nonsense(): void {
    if (!this.#ops.length) return
    const outbox = this.#pick(this.#outboxes)
    const op = this.#pick(this.#ops)
    const batch = { ...this.#envelope(outbox), ops: [op] }
    const wrong: OracleBatch[] = [
      { ...batch, ops: [] },
      { ...batch, ops: [op, op] },
      { ...batch, settled: opId(900_000) },
      { ...batch, ops: [{ ...op, content: "other content", does: noCrash(op) }] },
      { ...batch, cursor: outbox.cursor + 1, ops: [this.#op({})] },
      { ...batch, head: this.#pick(this.#ops).op_id, ops: [this.#op({})] },
      { ...batch, ops: [{ ...op, supersedes: [this.#op({}).op_id], does: noCrash(op) }] },
      { ...batch, writer: "writer_that_is_new", cursor: 0, head: null },
    ]
    this.#decide(this.#pick(wrong))
  }

  #decide(batch: OracleBatch): Answer | "crashed" {
    this.#history.push(JSON.stringify(batch))
    const before = this.#oracle.append(batch, this.#grant.epoch)
    const answer = this.#real.append(this.#grant.grant, batch)
    this.#compare("answer", answer, before)
    this.#count(answer)
    return answer
  }

  #compare(what: string, real: unknown, wanted: unknown): void {
    const [got, want] = [JSON.stringify(real, sorted), JSON.stringify(wanted, sorted)]
    if (got === want) return
    throw new Error(`SEED=${this.seed}: ${what} ${got}, the oracle says ${want}\n${this.#history.join("\n")}`)
  }

  #count(answer: Answer | "crashed"): void {
    const add = (what: string) => (this.counts[what] = (this.counts[what] ?? 0) + 1)
    if (answer === "crashed") return void add(answer)
    if ("refused" in answer) return void add(answer.refused)
    add(answer.applied.length ? "decided" : "again")
    for (const [, code] of answer.rejected) add(code)
  }

  #backUp(): void {
    const rows = this.#real.snapshot()
    const state = structuredClone(this.#oracle.state)
    this.#backup = () => {
      this.#real.restore(rows)
      this.#oracle.state = structuredClone(state)
    }
  }

  #raiseEpoch(): void {
    if (this.#oracle.state.removed) return
    this.#real.raiseEpoch()
    this.#oracle.state.epoch += 1
  }

  #remove(): void {
    if (this.#oracle.state.removed) return
    this.#real.remove()
    this.#oracle.remove()
  }

  #redeem(): { epoch: number; grant: Grant } {
    if (this.#oracle.state.removed) return this.#grant
    const grant = this.#real.redeem("writer_number_one")
    this.#compare("epoch", grant.epoch, this.#oracle.state.epoch)
    return { epoch: grant.epoch, grant }
  }

  #chance(of: number): boolean {
    return this.#random() < of
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)]!
  }
}

const noCrash = (op: OracleOp) => (op.does === "crash" ? "write" : op.does)

function clone(outbox: Outbox): Outbox {
  // The ops are the same ops; what became of them is the copy's own.
  return { ...outbox, pending: [...outbox.pending], retained: [...outbox.retained] }
}

/** 26 characters of Crockford base32; the number is in the last ones. */
function opId(number: number): string {
  return `01HF7YAT00${String(number).padStart(16, "0")}`
}

/** Keys in one order, so that texts can be compared. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
