/** What this outbox knows of an op by its id. No index serves this: it is asked when a register has moved, and by people. */
import type { Statement } from "bun:sqlite"
import { isUlid } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"
import { idBlob, idText } from "./id-blob.ts"
import { endSeq, firstSeq, type StreamRow, type Streams } from "./stream.ts"

/** Where an op stands. Exactly one of them at any time (invariant I1). */
export type OpState =
  | { state: "pending" }
  | { state: "applied"; result: string | undefined }
  | { state: "superseded"; by_op_id: string | undefined }
  | { state: "dead"; code: string; message: string }
  | { state: "discarded" }

interface FoundOp {
  seq: number
}

export class Knowledge {
  readonly #op: Statement<FoundOp>
  readonly #dead: Statement<{ code: string; message: string }>
  readonly #superseded: Statement<{ by_op_id: Uint8Array | null }>
  readonly #result: Statement<{ result: string }>

  constructor(
    connection: Connection,
    readonly streams: Streams,
  ) {
    const { db } = connection
    this.#op = db.prepare("select seq from sturdy_op where op_id = ? and seq > ? and seq < ? limit 1")
    this.#dead = db.prepare("select code, message from sturdy_dead_letter where op_id = ? and seq > ? and seq < ?")
    this.#superseded = db.prepare("select by_op_id from sturdy_superseded where op_id = ? and seq > ? and seq < ?")
    this.#result = db.prepare("select result from sturdy_result where seq = ?")
  }

  /** True for an op of this stream that is pending or retained, or whose id the stream still carries. */
  knowsOp(stream: StreamRow, op_id: string): boolean {
    if ([stream.settled_op_id, stream.base_head_op_id, stream.pruned_op_id].includes(op_id)) return true
    // An id that is none comes from a server: nothing of ours can have it.
    if (!isUlid(op_id)) return false
    const key = [idBlob(op_id), ...rangeOf(stream)] as const
    return this.streams.connection.read(
      "look for an op",
      () => this.#op.get(...key) !== null || this.#dead.get(...key) !== null,
    )
  }

  /**
   * Undefined for an op that this outbox never had, or that was applied and pruned. `seq` spares a look through the
   * stream where the caller has it.
   */
  stateOf(stream: StreamRow, op_id: string, known_seq?: number): OpState | undefined {
    const range = known_seq === undefined ? rangeOf(stream) : ([known_seq - 1, known_seq + 1] as const)
    return this.streams.connection.read("look for an op", () => this.#find(stream, [idBlob(op_id), ...range]))
  }

  #find(stream: StreamRow, key: [Uint8Array, number, number]): OpState | undefined {
    const dead = this.#dead.get(...key)
    if (dead) return { state: "dead", ...dead }
    const superseded = this.#superseded.get(...key)
    if (superseded)
      return { state: "superseded", by_op_id: superseded.by_op_id ? idText(superseded.by_op_id) : undefined }
    const op = this.#op.get(...key)
    if (!op) return
    if (op.seq <= stream.cursor) return { state: "applied", result: this.#result.get(op.seq)?.result }
    return { state: stream.time_closed === null ? "pending" : "discarded" }
  }
}

function rangeOf(stream: StreamRow): [number, number] {
  return [firstSeq(stream.stream_id), endSeq(stream.stream_id)]
}
