/** Arguments of calls, which are unknown until they are checked. */
import { z } from "zod"
import { isId } from "../intent/ulid.ts"
import { message_length_max } from "./limit.ts"
import { ShareError } from "./share-error.ts"

const id = z.string().refine(isId)

export const createInput = z.object({
  share_id: id,
  secret: id,
  session_id: z.string().min(1).max(message_length_max),
})
export const redeemInput = z.object({ share_id: z.string(), secret: z.string(), writer_id: z.unknown() })
/** What an entry holds is looked at by its type. */
export const syncInput = z.object({
  share_id: z.string(),
  secret: z.string(),
  data: z.array(z.object({ type: z.string(), data: z.unknown().optional() })),
})
export const pageInput = z.object({ after: z.int().nonnegative().optional(), limit: z.int().positive().optional() })
export const attenuateInput = z.object({
  scopes: z.array(z.enum(["read", "append", "admin"])).min(1),
  expires_at: z.int().nonnegative().optional(),
  label: z.string().max(message_length_max).optional(),
})
export const revokeInput = z.object({ capability_id: z.string().optional() })
export const rotateInput = z.object({ secret: id })

/** Errors name the fields only: a value may be a secret in the wrong place. */
export function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const fields = [...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "input"))]
  throw new ShareError("malformed", `malformed: ${fields.slice(0, 5).join(", ").slice(0, 200)}`)
}
