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

/** What an upcast may look at: nothing that changes. `schema_version` is still what the client said. */
export type UpcastContext = Readonly<Omit<HandlerContext, "sql">>

/**
 * Args of one version as those of the next. Pure: the same args give the same args, so that it does not matter when an op
 * is decided. Throw `Rejection` to reject an op that cannot be lifted; anything else thrown rolls the batch back.
 */
export type Upcast = (args: unknown[], context: UpcastContext) => unknown[]

/**
 * A method whose args changed over time. Clients may hold ops of any earlier version for days: each is lifted step by
 * step, from its own version to `version`, before `handle` runs. An op that no upcast begins at, or of a version that
 * this service does not know yet, is rejected with code `unknown_version`, and the ops after it go on.
 */
export interface VersionedMethod {
  /** Of the args that `handle` takes, from 1. */
  version: number
  /** By the version that each takes; it returns args of the one after. Without gaps, up to the last before `version`. */
  upcasts?: Readonly<Record<number, Upcast>>
  handle: Handler
}

/** A plain handler takes ops of every version, and finds in `context.schema_version` which it is. */
export type Method = Handler | VersionedMethod

export type Methods = Readonly<Record<string, Method>>

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
