/**
 * Is this really an answer for that batch? The lists must hold each op_id of the batch exactly once and nothing else;
 * otherwise the whole answer is a protocol fault and settles nothing.
 */
import type { Ack, AppendBatch, Refusal } from "../wire/contract.ts"

/** Why the answer is no Ack for the batch; undefined if it is one. */
export function ackFault(ack: Partial<Ack>, batch: AppendBatch): string | undefined {
  if (ack.batch_id !== batch.batch_id) return `it answers batch ${ack.batch_id}, not ${batch.batch_id}`
  if (!Array.isArray(ack.applied) || !Array.isArray(ack.duplicates) || !Array.isArray(ack.rejected))
    return "it lacks one of the lists applied, duplicates, rejected"
  if (!Number.isSafeInteger(ack.cursor) || typeof ack.head_op_id !== "string") return "it carries no register"
  if (ack.rejected.some((rejected) => typeof rejected?.code !== "string")) return "a rejection carries no code"
  const answered = [...ack.applied, ...ack.duplicates, ...ack.rejected.map((rejected) => rejected.op_id)]
  const asked = new Set(batch.ops.map((op) => op.op_id))
  if (answered.length !== asked.size) return `it answers ${answered.length} ops, the batch has ${asked.size}`
  for (const op_id of answered)
    if (!asked.delete(op_id)) return `it answers op ${op_id} twice, or one that was not sent`
  return
}

export function isRefusal(answer: unknown): answer is Refusal {
  return typeof answer === "object" && answer !== null && "refused" in answer && typeof answer.refused === "string"
}
