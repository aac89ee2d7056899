/** The op intent and its text on the wire. */

export type Codec = "capnweb" | "json"

/** One op as it is sent. Its JSON text never changes once the op is frozen: it is made from stored columns only. */
export interface WireOp {
  op_id: string
  /** The result, or a property of it, that the method is called on. */
  target?: [string, ...(string | number)[]]
  method: string
  codec: Codec
  /** JSON text of the argument array in the codec's form, with references. Sent as stored. */
  args: string
  depends_on: string[]
  /** Ops that this one replaced before they were ever sent. */
  supersedes?: string[]
  want_result?: true
  /** Of the app's payload. */
  schema_version: number
  actor_id?: string
  /** ms since the epoch, by the client's clock. */
  time_created: number
}

/** UTF-8 bytes of the JSON text of an op: what the limits of both ends count. */
export function opBytes(op: WireOp): number {
  return Buffer.byteLength(JSON.stringify(op))
}

/** Bytes that a batch adds around its ops: envelope with ids, and commas. Counted generously, never too low. */
export const batch_envelope_bytes = 512

/** What makes two ops equal: everything but identity, actor and time. The service hashes this text. */
export function contentOf(op: WireOp): string {
  return JSON.stringify([op.target ?? null, op.method, op.codec, op.args, op.depends_on, op.schema_version])
}
