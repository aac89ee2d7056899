/** The batch envelope at the service's edge: form and size, before anything is looked up. */
import { z } from "zod"
import { depends_on_max, name_bytes_max, supersedes_max } from "../intent/limit.ts"
import { opBytes } from "../intent/op.ts"
import { isId, isUlid } from "../intent/ulid.ts"
import type { AppendBatch, GrantLimits, Refusal } from "../wire/contract.ts"

const ulid = z.string().refine(isUlid)
const name = z.string().refine((text) => Buffer.byteLength(text) <= name_bytes_max)
const count = z.int().nonnegative()

const wireOp = z.object({
  op_id: ulid,
  target: z.tuple([z.string()], z.union([z.string(), count])).optional(),
  method: name.min(1),
  codec: z.enum(["capnweb", "json"]),
  args: z.string(),
  depends_on: z.array(ulid).max(depends_on_max),
  supersedes: z.array(ulid).max(supersedes_max).optional(),
  want_result: z.literal(true).optional(),
  schema_version: count,
  actor_id: name.optional(),
  time_created: count,
})

const appendBatch = z.object({
  writer_id: z.string().refine(isId),
  batch_id: ulid,
  expected_cursor: count,
  expected_head_op_id: ulid.nullable(),
  settled_op_id: ulid.nullable(),
  ops: z.array(wireOp).min(1),
})

/** The batch, or why it cannot be one. */
export function readBatch(input: unknown, limits: GrantLimits): AppendBatch | Refusal {
  // Before zod: a list of millions is not to be walked.
  const length = countOps(input)
  if (length > limits.batch_ops_max) return tooLarge(`${length} ops, at most ${limits.batch_ops_max}`)
  const parsed = appendBatch.safeParse(input)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return { refused: "malformed", message: `malformed: ${issue?.path.join(".") || "batch"}`.slice(0, 200) }
  }
  // An own property that is undefined and one that is missing are the same here: both leave the JSON text.
  const batch = parsed.data as AppendBatch
  if (new Set(batch.ops.map((op) => op.op_id)).size !== batch.ops.length)
    return { refused: "malformed", message: "an op_id is in the batch twice" }
  return oversized(batch, limits) ?? batch
}

function countOps(input: unknown): number {
  if (typeof input !== "object" || input === null || !("ops" in input) || !Array.isArray(input.ops)) return 0
  return input.ops.length
}

function oversized(batch: AppendBatch, limits: GrantLimits): Refusal | undefined {
  // The envelope's text with an empty list, and a comma between two ops.
  let bytes = Buffer.byteLength(JSON.stringify({ ...batch, ops: [] })) + batch.ops.length - 1
  for (const op of batch.ops) {
    const size = opBytes(op)
    if (size > limits.op_bytes_max) return tooLarge(`op ${op.op_id} has ${size} bytes, at most ${limits.op_bytes_max}`)
    bytes += size
  }
  if (bytes > limits.batch_bytes_max) return tooLarge(`${bytes} bytes, at most ${limits.batch_bytes_max}`)
  return
}

function tooLarge(message: string): Refusal {
  return { refused: "too_large", message }
}
