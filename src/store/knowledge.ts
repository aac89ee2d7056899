/** What this outbox knows of an op by its id. No index serves this: it is asked when a register has moved, and by people. */
import type { Statement } from "bun:sqlite"
import { isUlid } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"
import type { Decision } from "./dead-graph.ts"
import { idBlob, idText } from "./id-blob.ts"
import { endSeq, firstSeq, type StreamRow } from "./stream.ts"

/** Where an op stands. Exactly one of them at any time (invariant I1). */
export type OpState =
  | { state: "pending" }
  | { state: "applied"; result: string | undefined }
  | { state: "superseded"; by_op_id: string | undefined }
  | { state: "dead"; code: string; message: string; retried_op_id?: string }
  /** With the service's `code` a dead letter that was given up; without, by the removal of its share. */
  | { state: "discarded"; code?: string }

interface DeadRow {
  seq: number
  code: string
  message: string
  decision: Decision | null
  retried_op_id: Uint8Array | null
}

interface FoundOp {
  seq: number
}

export class Knowledge {
  readonly #op: Statement<FoundOp>
  readonly #dead: Statement<DeadRow>
  readonly #superseded: Statement<{ by_op_id: Uint8Array | null }>
  readonly #known: Statement<{ op_id: Uint8Array }>
  readonly #result: Statement<{ result: string }>

  constructor(readonly connection: Connection) {
    const { db } = connection
    this.#op = db.prepare("select seq from sturdy_op where op_id = ? and seq > ? and seq < ? limit 1")
    this.#dead = db.prepare(
      `select seq, code, message, decision, retried_op_id from sturdy_dead_letter
       where op_id = ? and seq > ? and seq < ?`,
    )
    this.#superseded = db.prepare("select by_op_id from sturdy_superseded where op_id = ? and seq > ? and seq < ?")
    const known = (table: string) =>
      `select op_id from ${table} where op_id in (select unhex(value) from json_each(?3)) and seq > ?1 and seq < ?2`
    const tables = ["sturdy_op", "sturdy_dead_letter", "sturdy_superseded"]
    this.#known = db.prepare(tables.map(known).join(" union all "))
    this.#result = db.prepare("select result from sturdy_result where seq = ?")
  }

  /** True for an op of this stream that is pending or retained, or whose id the stream still carries. */
  knowsOp(stream: StreamRow, op_id: string): boolean {
    if ([stream.settled_op_id, stream.base_head_op_id, stream.pruned_op_id].includes(op_id)) return true
    // An id that is none comes from a server: nothing of ours can have it.
    if (!isUlid(op_id)) return false
    const key = [idBlob(op_id), ...rangeOf(stream)] as const
    return this.connection.read("look up op", () => this.#op.get(...key) !== null || this.#dead.get(...key) !== null)
  }

  /** Which of these ids an op of this stream has that was recorded after that place. One look through them for all. */
  knownOf(stream: StreamRow, op_ids: readonly string[], after_seq: number): Set<string> {
    const hex = op_ids.map((op_id) => Buffer.from(idBlob(op_id)).toString("hex"))
    const found = this.#known.all(after_seq, endSeq(stream.stream_id), JSON.stringify(hex))
    return new Set(found.map((row) => idText(row.op_id)))
  }

  /**
   * Undefined for an op that this outbox never had, or that was applied and pruned. `seq` spares a look through the
   * stream where the caller has it.
   */
  stateOf(stream: StreamRow, op_id: string, known_seq?: number): OpState | undefined {
    const range = known_seq === undefined ? rangeOf(stream) : ([known_seq - 1, known_seq + 1] as const)
    return this.connection.read("look up op", () => this.#find(stream, [idBlob(op_id), ...range]))
  }

  #find(stream: StreamRow, key: [Uint8Array, number, number]): OpState | undefined {
    const dead = this.#dead.get(...key)
    // After a server_reset a decision stays, while its op is pending again.
    if (dead && dead.seq <= stream.cursor) return deadState(dead)
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

function deadState({ code, message, decision, retried_op_id }: DeadRow): OpState {
  if (decision === "discarded") return { state: "discarded", code }
  return { state: "dead", code, message, ...(retried_op_id && { retried_op_id: idText(retried_op_id) }) }
}
