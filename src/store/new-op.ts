/** An op on its way into the outbox, and the one place that builds what is sent. */
import { contentOf, type WireOp } from "../intent/op.ts"

/** `latest`: op_id of the latest op of a key, of those recorded with `only_if_changed`; undefined if there is none. */
export type Staleness = (latest: (key: string) => string | undefined) => boolean

/** An op on its way into the outbox: encoded, with its id, without a place. */
export interface NewOp {
  op_id: string
  target?: [string, ...(string | number)[]]
  method: string
  args: string
  depends_on: string[]
  /** Those of `depends_on` whose result is used. */
  references: string[]
  want_result: boolean
  schema_version: number
  actor_id: string | undefined
  time_created: number
  key: string | undefined
  capture_id: string | undefined
  /** Note the capture_id, record nothing: newer state of the key is recorded already. */
  stale: boolean | Staleness
  /** Skip the op if its content equals that of the last op recorded with its key. */
  only_if_changed: boolean | string
  /** Depend on the first op recorded with each of these keys, where there is one. */
  depends_on_keys: readonly string[]
  /** Forget keys with this prefix: what comes under them next counts as changed. */
  ends_keys: string | undefined
}

/** About what an op takes in the file, in bytes: its args, and 200 for the rest of its row. */
export function storedBytes(op: { args: string }): number {
  return op.args.length + 200
}

/** The op as it is sent, from what is stored: the same in every attempt. */
export function wireOp(
  op: Pick<NewOp, "op_id" | "target" | "method" | "args" | "depends_on" | "want_result" | "schema_version"> &
    Pick<NewOp, "actor_id" | "time_created"> & { supersedes: string[] },
): WireOp {
  return {
    op_id: op.op_id,
    ...(op.target && { target: op.target }),
    method: op.method,
    codec: "capnweb",
    args: op.args,
    depends_on: op.depends_on,
    ...(op.supersedes.length > 0 && { supersedes: op.supersedes }),
    ...(op.want_result && { want_result: true as const }),
    schema_version: op.schema_version,
    ...(op.actor_id !== undefined && { actor_id: op.actor_id }),
    time_created: op.time_created,
  }
}

/** What `only_if_changed` compares: its text, else the content but for its dependencies. 16 bytes. */
export function contentHash(op: NewOp): Uint8Array {
  const given = op.only_if_changed
  const content = typeof given === "string" ? given : contentOf(wireOp({ ...op, depends_on: [], supersedes: [] }))
  return new Uint8Array(new Bun.CryptoHasher("sha256").update(content).digest()).slice(0, 16)
}
