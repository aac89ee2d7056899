/** Limits of the service alone; those that both ends share are in intent/limit.ts. */
import * as shared from "../intent/limit.ts"
import type { GrantLimits } from "../wire/contract.ts"

/** Ops of one batch. Clients seal at 100 of their own; one unit may hold more. 1,000 ops decide in about 10 ms. */
const batch_ops_max = 1_000

/** Attenuations below the root capability. */
export const capability_depth_max = 8
/** Capabilities that a share ever had: each keeps a hash for the tombstone. */
export const capabilities_max = 10_000

/** Lines of one POST: push, pull and release of each call, far above what a window needs. */
export const post_lines_max = 10_000

/** UTF-16 code units of a rejection's message, a label, an audit detail. */
export const message_length_max = 1_000

/** Results are kept this long; afterwards a reference to one is rejected `result_expired`. */
export const result_retention_ms = 30 * 24 * 3_600_000
/** Entries of a page of `readShare` and `auditLog`. */
export const page_max = 1_000

/** What a client waits at least after `busy`: longer than any transaction of ours. */
export const busy_retry_ms = 250

/** Applied ops whose results are looked at for expiry whenever a batch is decided: more than were added. */
export const purge_ops = 2 * batch_ops_max

/** What a grant promises, never below the floors of the contract. */
export function grantLimits(wanted: Partial<GrantLimits> = {}): GrantLimits {
  return {
    batch_ops_max: Math.max(shared.batch_ops_floor, wanted.batch_ops_max ?? batch_ops_max),
    batch_bytes_max: Math.max(shared.batch_bytes_floor, wanted.batch_bytes_max ?? shared.batch_bytes_max),
    op_bytes_max: Math.max(shared.op_bytes_floor, wanted.op_bytes_max ?? shared.op_bytes_max),
  }
}
