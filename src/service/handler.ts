/** Methods of a share: what a server that mounts the decision core writes itself. */
import { message_length_max } from "./limit.ts"
import type { Sql } from "./sql-port.ts"

export interface HandlerContext {
  share_id: string
  session_id: string
  /** Row number of the share in this database: a short key for own tables. */
  share: number
  /** Share-wide position that this op gets: grows with every applied op. */
  position: number
  op_id: string
  actor_id: string | null
  /** Of the app's payload, as the client said it. */
  schema_version: number
  /** ms since the epoch, by the client's clock. */
  time_created: number
  /** ms since the epoch, by the service's clock. */
  time: number
  /** Inside the batch's transaction; dead when the handler has returned. */
  sql: Sql
}

/**
 * Runs inside the transaction that decides the batch, synchronously; a promise is a bug. Its result is kept for
 * `result_retention_ms` and may be referred to by later ops. Throw `Rejection` to reject this op alone: what it wrote
 * is undone. Anything else thrown rolls the whole batch back, and the client sends it again.
 */
export type Handler = (context: HandlerContext, ...args: unknown[]) => unknown

export type Methods = Readonly<Record<string, Handler>>

/** Codes with a meaning of their own for the client. */
const reserved = new Set(["superseded", "conflicting_op"])

/** Rejects one op for good: `code` is for programs, `message` for the person who finds the dead letter. */
export class Rejection extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message.slice(0, message_length_max))
    if (!/^[a-z][a-z0-9_]{0,63}$/.test(code) || reserved.has(code)) throw new TypeError(`not a rejection code: ${code}`)
  }
}
