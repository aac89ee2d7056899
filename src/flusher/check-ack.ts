/**
 * Is this really an answer for that batch? The lists must hold each op_id of the batch exactly once and nothing else;
 * otherwise the whole answer is a protocol fault and settles nothing.
 */
import type { Ack, AppendBatch, GrantFacts, Refusal } from "../wire/contract.ts"

/** Why the answer is no Ack for the batch; undefined if it is one. */
export function ackFault(answer: unknown, batch: AppendBatch): string | undefined {
  if (typeof answer !== "object" || answer === null) return "it is no object"
  const ack = answer as Partial<Ack>
  if (ack.batch_id !== batch.batch_id) return `it answers batch ${ack.batch_id}, not ${batch.batch_id}`
  if (!Array.isArray(ack.applied) || !Array.isArray(ack.duplicates) || !Array.isArray(ack.rejected))
    return "it lacks one of the lists applied, duplicates, rejected"
  if (!Number.isSafeInteger(ack.cursor) || typeof ack.head_op_id !== "string") return "it carries no register"
  if (ack.rejected.some((rejected) => typeof rejected?.code !== "string")) return "a rejection carries no code"
  // What the server gave is written as it is: a value that SQLite does not take would end the flusher.
  if (Object.values(ack.results ?? {}).some((result) => typeof result !== "string")) return "a result is no text"
  const answered = [...ack.applied, ...ack.duplicates, ...ack.rejected.map((rejected) => rejected.op_id)]
  const asked = new Set(batch.ops.map((op) => op.op_id))
  if (answered.length !== asked.size) return `it answers ${answered.length} ops, the batch has ${asked.size}`
  for (const op_id of answered)
    if (!asked.delete(op_id)) return `it answers op ${op_id} twice, or one that was not sent`
  return
}

/** Why the facts are no grant for the share; undefined if they are. */
export function grantFactsFault(grant: GrantFacts, share_id: string): string | undefined {
  if (grant.share_id !== share_id) return `it is for share ${grant.share_id}, not ${share_id}`
  if (typeof grant.service_id !== "string") return "it carries no service_id"
  const { batch_ops_max, batch_bytes_max, op_bytes_max } = grant.limits
  if (![grant.epoch, batch_ops_max, batch_bytes_max, op_bytes_max].every(Number.isSafeInteger))
    return "it carries no epoch or no limits"
  return
}

export function isRefusal(answer: unknown): answer is Refusal {
  return typeof answer === "object" && answer !== null && "refused" in answer && typeof answer.refused === "string"
}
