/**
 * The rules by which a server decides a batch, once more, as plainly as can be: what the real decision core is compared
 * with. Shares no code with it.
 */
export interface OracleOp {
  op_id: string
  /** Two ops of one id and different content are a conflict. */
  content: string
  does: "write" | "poison" | "crash"
  depends_on: string[]
  supersedes: string[]
}

export interface OracleBatch {
  writer: string
  cursor: number
  head: string | null
  settled: string | null
  ops: OracleOp[]
}

/** Outcome: `applied`, `superseded`, or the code of the rejection. */
type Known = { outcome: string; content: string | null }

interface Register {
  cursor: number
  head: string | null
}

export type Answer =
  | { refused: string; register?: Register }
  | { register: Register; applied: string[]; duplicates: string[]; rejected: [op_id: string, code: string][] }

interface State {
  removed: boolean
  epoch: number
  registers: Map<string, Register>
  known: Map<string, Known>
  effects: string[]
}

export class Oracle {
  state: State = { removed: false, epoch: 1, registers: new Map(), known: new Map(), effects: [] }

  constructor(readonly ops_max: number) {}

  /** Under a grant of this epoch. `crashed`: a handler failed, so nothing happened. */
  append(batch: OracleBatch, epoch: number): Answer | "crashed" {
    const { state } = this
    const ids = batch.ops.map((op) => op.op_id)
    // 1. Grant, form, size.
    if (state.removed) return { refused: "share_removed" }
    if (epoch !== state.epoch) return { refused: "stale_epoch" }
    if (ids.length > this.ops_max) return { refused: "too_large" }
    if (ids.length === 0 || new Set(ids).size < ids.length) return { refused: "malformed" }
    const register = state.registers.get(batch.writer) ?? { cursor: 0, head: null }
    // 2. Is what was acknowledged still here?
    if (batch.settled !== null && !state.known.has(batch.settled)) return { refused: "server_reset", register }
    // 3. Made for the register as it is: decide.
    if (batch.cursor === register.cursor && batch.head === register.head) return this.#decide(batch)
    // 4. All known: say it again.
    if (ids.every((id) => state.known.has(id))) {
      const answer = { register: { ...register, head: register.head ?? ids.at(-1)! }, ...lists() }
      for (const op of batch.ops) this.#again(op, answer)
      return answer
    }
    // 5.
    return { refused: "gap", register }
  }

  remove(): void {
    Object.assign(this.state, { removed: true, registers: new Map(), known: new Map() })
  }

  #decide(batch: OracleBatch): Answer | "crashed" {
    const before = structuredClone(this.state)
    const register = { cursor: batch.cursor + batch.ops.length, head: batch.ops.at(-1)!.op_id }
    const answer = { register, ...lists() }
    for (const op of batch.ops) {
      if (this.state.known.has(op.op_id)) this.#again(op, answer)
      else if (this.#new(op, answer) === "crashed") {
        this.state = before
        return "crashed"
      }
      for (const id of op.supersedes)
        if (!this.state.known.has(id)) this.state.known.set(id, { outcome: "superseded", content: null })
    }
    this.state.registers.set(batch.writer, register)
    return answer
  }

  #new(op: OracleOp, answer: ReturnType<typeof lists>): string {
    const outcome = this.#outcome(op)
    if (outcome === "applied") answer.applied.push(op.op_id)
    else answer.rejected.push([op.op_id, outcome])
    if (outcome === "applied") this.state.effects.push(op.op_id)
    this.state.known.set(op.op_id, { outcome, content: op.content })
    return outcome
  }

  #outcome(op: OracleOp): string {
    for (const id of op.depends_on) {
      const on = this.state.known.get(id)
      if (!on) return "dependency_missing"
      if (on.outcome !== "applied" && on.outcome !== "superseded") return "dependency_rejected"
    }
    return { write: "applied", poison: "poison", crash: "crashed" }[op.does]
  }

  #again(op: OracleOp, answer: ReturnType<typeof lists>): void {
    const { outcome, content } = this.state.known.get(op.op_id)!
    if (outcome === "superseded") answer.rejected.push([op.op_id, "superseded"])
    else if (content !== op.content) answer.rejected.push([op.op_id, "conflicting_op"])
    else if (outcome === "applied") answer.duplicates.push(op.op_id)
    else answer.rejected.push([op.op_id, outcome])
  }
}

const lists = () => ({ applied: [] as string[], duplicates: [] as string[], rejected: [] as [string, string][] })
