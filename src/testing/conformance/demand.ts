/** Is an answer the one that is due? Each returns what is wrong with it, as the end of a sentence that begins with "it". */
import { ackFault, isRefusal } from "../../flusher/check-ack.ts"
import type { Ack, GrantFacts, WireOp } from "../../wire/contract.ts"
import { law } from "./law.ts"
import type { Notation } from "./notation.ts"
import type { Sent } from "./trial-post.ts"

export interface Registered {
  cursor: number
  head: string | null
}

/** The Ack that is due. Lists that are left out are empty; a code that is left out may be any of the service's own. */
export interface Demanded extends Registered {
  applied?: WireOp[]
  duplicates?: WireOp[]
  rejected?: [op: WireOp, code: string | undefined][]
}

/** Codes with a meaning of their own: no handler's rejection may look like one. */
const reserved = new Set(["superseded", "conflicting_op", "dependency_missing", "dependency_rejected"])

export function ackProblem(sent: Sent, demanded: Demanded, notation: Notation): string | undefined {
  const due = `should be ${textOf(demanded, notation)}`
  const { answer } = sent
  if (answer.kind !== "value" || isRefusal(answer.value)) return due
  const fault = sent.batch && ackFault(answer.value, sent.batch)
  if (fault) return `${due}; ${fault} (${law.ack})`
  const ack = answer.value as Ack
  if (!Number.isSafeInteger(ack.epoch)) return `should carry the epoch of the share (${law.ack})`
  const granted = sent.grant && epochOf(sent.grant)
  if (granted !== undefined && ack.epoch !== granted)
    return `should carry epoch ${granted}, as its grant does, not ${ack.epoch} (${law.ack})`
  const mute = ack.rejected.find((one) => typeof one.message !== "string")
  if (mute) return `should say in a message why ${notation.op(mute.op_id)} was rejected (${law.ack})`
  const { applied = [], duplicates = [], rejected = [] } = demanded
  const matches =
    ack.cursor === demanded.cursor &&
    ack.head_op_id === demanded.head &&
    sameOps(ack.applied, applied) &&
    sameOps(ack.duplicates, duplicates) &&
    sameOps(
      ack.rejected.map((one) => one.op_id),
      rejected.map(([op]) => op),
    ) &&
    rejected.every(([op, code]) => isCode(ack.rejected.find((one) => one.op_id === op.op_id)!.code, code))
  return matches ? undefined : due
}

export function refusalProblem(
  sent: Sent,
  code: string,
  register: Registered | undefined,
  notation: Notation,
): string | undefined {
  const carried = register ? ` with the register ${notation.register(register.cursor, register.head)}` : ""
  const due = `should be refused ${code}${carried}`
  const { answer } = sent
  if (answer.kind !== "value" || !isRefusal(answer.value)) return `${due}, as an answer (${law.errors})`
  const { refused, cursor, head_op_id, message } = answer.value
  if (refused !== code) return due
  if (typeof message !== "string") return `${due}, with a message`
  return !register || (cursor === register.cursor && head_op_id === register.head) ? undefined : due
}

export function errorProblem({ answer }: Sent, code: string): string | undefined {
  return answer.kind === "error" && answer.code === code ? undefined : `should throw an error of code ${code}`
}

function epochOf({ answer }: Sent): number | undefined {
  const facts = answer.kind === "value" ? (answer.value as Partial<GrantFacts> | null) : null
  return facts?.epoch
}

function isCode(got: string, wanted: string | undefined): boolean {
  return wanted === undefined ? !reserved.has(got) : got === wanted
}

function sameOps(op_ids: string[], ops: WireOp[]): boolean {
  const wanted = new Set(ops.map((op) => op.op_id))
  return op_ids.length === wanted.size && op_ids.every((op_id) => wanted.has(op_id))
}

function textOf({ applied, duplicates, rejected, cursor, head }: Demanded, notation: Notation): string {
  const list = (name: string, ops: WireOp[] = []) =>
    ops.length
      ? `, ${name} ${ops.length > 9 ? `${ops.length} ops` : ops.map((op) => notation.op(op.op_id)).join(" ")}`
      : ""
  const codes = (rejected ?? []).map(
    ([op, code]) => `, rejected ${notation.op(op.op_id)} ${code ?? "with a code of the service's own"}`,
  )
  return `Ack ${notation.register(cursor, head)}${list("applied", applied)}${list("duplicates", duplicates)}${codes.join("")}`
}
