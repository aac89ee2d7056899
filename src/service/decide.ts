/**
 * Deciding a batch: five rules, the first that fits, in one transaction, synchronously from check to commit. Nothing
 * is decided by a clock, by `batch_id`, or by a number alone. Source of the rules: ARCHITECTURE.md, "Deciding a batch".
 */
import type { Register } from "../intent/base.ts"
import type { WireOp } from "../intent/op.ts"
import type { Ack, AppendBatch, Refusal } from "../wire/contract.ts"
import { applyOp } from "./apply.ts"
import { writeAudit } from "./audit.ts"
import { type Access, type Bound, check, type Denial, isDenial } from "./capability.ts"
import type { Core } from "./core.ts"
import { readBatch } from "./envelope.ts"
import { busy_retry_ms } from "./limit.ts"
import { contentHash, OpLog, type Outcome } from "./op-log.ts"
import { SqlBusyError } from "./sql-port.ts"

/** Decides a batch, says again how it was decided, or refuses it. What it throws rolled everything back. */
export function appendOps(core: Core, bound: Bound, input: unknown): Ack | Refusal {
  const time = core.seams.clock.now()
  const batch = readBatch(input, core.limits)
  let share_id = ""
  const answer = atomically(core, () => {
    // 1. The capability and the share are valid now, and so is the batch.
    const access = check(core.sql, bound, "append", time)
    if (isDenial(access)) return denied(access)
    share_id = access.share_id
    if ("refused" in batch) return batch

    // 2. The server has what it once acknowledged.
    const log = new OpLog(core.sql, access.share, access.position, time)
    const register = log.register(batch.writer_id)
    if (batch.settled_op_id !== null && !log.find(batch.settled_op_id))
      return { refused: "server_reset", message: `op ${batch.settled_op_id} is not known here`, ...register }

    // 3. The batch was made for the register as it is: decide.
    if (batch.expected_cursor === register.cursor && batch.expected_head_op_id === register.head_op_id)
      return decide(core, access, log, batch, time)

    // 4. Every op is known: their outcomes, nothing changes.
    const known = batch.ops.map((op) => log.find(op.op_id))
    if (known.every((outcome) => outcome !== undefined)) return replay(core, access, log, batch, register, known)

    // 5. The register has moved.
    return { refused: "gap", message: gapMessage(batch, register), ...register }
  })
  if (!("refused" in batch)) core.observe({ name: "batch", share_id, batch, answer })
  return answer
}

/** Op by op in order; then the register moves by all of them, whatever their outcomes. */
function decide(core: Core, access: Access, log: OpLog, batch: AppendBatch, time: number): Ack {
  const cursor = batch.expected_cursor + batch.ops.length
  const head_op_id = batch.ops.at(-1)!.op_id
  const answer = new Answer(core, log, batch, { cursor, head_op_id }, access.epoch)
  for (const op of batch.ops) {
    const known = log.find(op.op_id)
    if (known) answer.known(op, known)
    else decideNew(core, access, log, op, time, answer)
    // Whatever became of the op: an older copy of the outbox then shares the fate that they had there.
    for (const replaced of op.supersedes ?? []) log.supersede(replaced)
  }
  log.advance(batch.writer_id, cursor, head_op_id)
  log.purgeResults(access.result_purged)
  writeAudit(core.sql, access.share, {
    time,
    capability_id: access.capability_id,
    action: "append",
    detail: answer.summary,
  })
  return answer.ack
}

function decideNew(core: Core, access: Access, log: OpLog, op: WireOp, time: number, answer: Answer): void {
  const rejection = applyOp(core, log, access, op, time)
  if (rejection) answer.rejected(op, rejection.code, rejection.message)
  else answer.applied(op)
}

function replay(
  core: Core,
  access: Access,
  log: OpLog,
  batch: AppendBatch,
  register: Register,
  known: (Outcome | undefined)[],
): Ack {
  // An op may be known (superseded, or from another writer) before this writer ever decided anything.
  const head_op_id = register.head_op_id ?? batch.ops.at(-1)!.op_id
  const answer = new Answer(core, log, batch, { cursor: register.cursor, head_op_id }, access.epoch)
  batch.ops.forEach((op, index) => answer.known(op, known[index]!))
  return answer.ack
}

/** The three lists of an Ack; every op enters exactly one. */
class Answer {
  readonly ack: Ack
  readonly #core: Core
  readonly #log: OpLog
  #result_bytes = 0

  constructor(
    core: Core,
    log: OpLog,
    batch: AppendBatch,
    register: { cursor: number; head_op_id: string },
    epoch: number,
  ) {
    this.#core = core
    this.#log = log
    this.ack = { batch_id: batch.batch_id, ...register, epoch, applied: [], duplicates: [], rejected: [] }
  }

  applied(op: WireOp): void {
    this.ack.applied.push(op.op_id)
    if (op.want_result) this.#result(op, this.#log.next - 1)
  }

  rejected(op: WireOp, code: string, message: string): void {
    this.ack.rejected.push({ op_id: op.op_id, code, message })
  }

  /** Outcomes are final: the op is told what became of it, or that it is not the op that was decided. */
  known(op: WireOp, outcome: Outcome): void {
    if (outcome.name === "superseded") return this.rejected(op, "superseded", "a newer op replaced it")
    if (!Buffer.from(outcome.content).equals(contentHash(op)))
      return this.rejected(op, "conflicting_op", "this op_id was decided with other content")
    if (outcome.name === "rejected") return this.rejected(op, outcome.code, outcome.message)
    this.ack.duplicates.push(op.op_id)
    if (op.want_result) this.#result(op, outcome.position)
  }

  get summary(): string {
    const { applied, duplicates, rejected } = this.ack
    return `applied ${applied.length}, duplicates ${duplicates.length}, rejected ${rejected.length}`
  }

  #result(op: WireOp, position: number): void {
    const text = this.#log.result(position)
    if (text === undefined) return
    this.#result_bytes += Buffer.byteLength(text)
    if (this.#result_bytes > this.#core.limits.batch_bytes_max) throw new ResultsTooLarge()
    this.ack.results ??= {}
    this.ack.results[op.op_id] = text
  }
}

/** The answer would not fit: the client cuts the batch, so nothing may be decided. */
class ResultsTooLarge extends Error {}

function atomically(core: Core, decide: () => Ack | Refusal): Ack | Refusal {
  try {
    const answer = core.sql.transaction(() => {
      const answer = decide()
      core.seams.crashPoint("service: before commit")
      return answer
    })
    core.seams.crashPoint("service: after commit")
    return answer
  } catch (error) {
    if (error instanceof SqlBusyError)
      return { refused: "busy", message: "the database is locked", retry_after_ms: busy_retry_ms }
    if (error instanceof ResultsTooLarge)
      return { refused: "too_large", message: `results over ${core.limits.batch_bytes_max} bytes` }
    throw error
  }
}

/** A denial as appendOps returns it. */
export function denied({ code, message, epoch }: Denial): Refusal {
  return epoch === undefined ? { refused: code, message } : { refused: code, message, epoch }
}

function gapMessage(batch: AppendBatch, register: Register): string {
  const made = `${batch.expected_cursor} ${batch.expected_head_op_id}`
  return `made for register ${made}, this writer is at ${register.cursor} ${register.head_op_id}`
}
