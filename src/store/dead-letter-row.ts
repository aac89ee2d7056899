/** Dead letters as they lie in the database. */
import type { Statement } from "bun:sqlite"
import { assert } from "../intent/error.ts"
import type { WireOp } from "../intent/op.ts"
import type { Connection } from "./connection.ts"
import { DeadGraph, type DeadNode, type Decision } from "./dead-graph.ts"
import { idBlob, idText } from "./id-blob.ts"
import { endSeq, firstSeq, localSeq, type StreamRow } from "./stream.ts"

/** An op that the service rejected for good and about which nobody has decided. */
export interface DeadLetter {
  op_id: string
  /** Place in the stream, from 1: `after` of the next page. */
  seq: number
  method: string
  /** The service's word, e.g. `dependency_rejected`. */
  code: string
  message: string
  key: string | undefined
  depends_on: string[]
  /** UTF-8 bytes of `args`. */
  bytes: number
  /** The text as it was sent; only where it was asked for. */
  args?: string
  /** ms since the epoch. */
  time_created: number
  time_rejected: number
}

export interface DeadLetterPage {
  /** Place after which to begin. @default 0 */
  after?: number
  /** How many, from 1 to 1,000. @default 100 */
  limit?: number
  /** With the text of the arguments. */
  args?: boolean
}

export interface LetterRow {
  seq: number
  code: string
  message: string
  op: string
  key: string | null
  time_created: number
}

interface NodeRow {
  seq: number
  op_id: Uint8Array
  depends_on: string
  decision: Decision | null
  retried_op_id: Uint8Array | null
}

const depends_on = "json_extract(op, '$.depends_on')"
const inStream = "seq >= ?1 and seq < ?2"

/** Each statement finds its rows by an index: there may be thousands, with payloads. */
export class DeadLetterRows {
  readonly #connection: Connection
  readonly #node: Statement<NodeRow>
  readonly #retriedAs: Statement<{ op_id: Uint8Array }>
  readonly #hanging: Statement<NodeRow>
  readonly #page: Statement<LetterRow>
  readonly #letter: Statement<LetterRow>
  readonly #decided: Statement<{ seq: number; op_id: Uint8Array }>
  readonly #delete: Statement

  constructor(connection: Connection) {
    const { db } = connection
    this.#connection = connection
    this.#node = db.prepare(
      `select seq, op_id, ${depends_on} as depends_on, decision, retried_op_id
       from sturdy_dead_letter where op_id = ?3 and ${inStream}`,
    )
    this.#retriedAs = db.prepare(`select op_id from sturdy_dead_letter where retried_op_id = ?3 and ${inStream}`)
    // Named, so that it is clear that no payload is read: the index holds all that is asked for.
    this.#hanging = db.prepare(
      `select seq, op_id, ${depends_on} as depends_on, null as decision, null as retried_op_id
       from sturdy_dead_letter indexed by sturdy_dead_letter_hanging_idx
       where decision is null and ${depends_on} <> '[]' and ${inStream} order by seq`,
    )
    this.#decided = db.prepare(
      `select seq, op_id from sturdy_dead_letter indexed by sturdy_dead_letter_decision_idx
       where decision in ('retried', 'discarded') and seq >= ? and seq <= ?`,
    )
    const letters = "select seq, code, message, op, key, time_created from sturdy_dead_letter"
    this.#page = db.prepare(
      `${letters} indexed by sturdy_dead_letter_decision_idx
       where decision is null and seq > ? and seq < ? order by seq limit ?`,
    )
    this.#letter = db.prepare(`${letters} where seq = ?`)
    this.#delete = db.prepare("delete from sturdy_dead_letter where seq = ?")
  }

  /** Undecided ones, oldest first. */
  page(stream_id: number, { after = 0, limit = 100, args = false }: DeadLetterPage): DeadLetter[] {
    const from = firstSeq(stream_id) + after
    return this.#connection.read("read dead letters", () =>
      [...this.#page.iterate(from, endSeq(stream_id), limit)].map((row) => letterOf(row, args)),
    )
  }

  letter(seq: number): LetterRow {
    const row = this.#letter.get(seq)
    assert(row, `dead letter ${seq} is gone`)
    return row
  }

  graph(stream_id: number): DeadGraph {
    const range = [firstSeq(stream_id), endSeq(stream_id)] as const
    return new DeadGraph({
      letter: (op_id) => {
        const row = this.#node.get(...range, idBlob(op_id))
        return row ? nodeOf(row) : undefined
      },
      retriedAs: (op_id) => this.#retriedAs.all(...range, idBlob(op_id)).map((row) => idText(row.op_id)),
      hanging: () => this.#hanging.all(...range).map(nodeOf),
    })
  }

  /** A decided one goes with its op, unless an undecided one needs it to know what stands for its dependency. */
  forgetPruned({ stream_id, pruned_seq }: Pick<StreamRow, "stream_id" | "pruned_seq">): void {
    const decided = new Map(
      this.#decided.all(firstSeq(stream_id), pruned_seq).map(({ seq, op_id }) => [idText(op_id), seq]),
    )
    for (const op_id of this.graph(stream_id).withoutLinks([...decided.keys()])) this.#delete.run(decided.get(op_id)!)
  }
}

function nodeOf(row: NodeRow): DeadNode {
  return {
    seq: row.seq,
    op_id: idText(row.op_id),
    depends_on: JSON.parse(row.depends_on) as string[],
    decision: row.decision ?? undefined,
    retried_op_id: row.retried_op_id ? idText(row.retried_op_id) : undefined,
  }
}

function letterOf(row: LetterRow, withArgs: boolean): DeadLetter {
  const op = JSON.parse(row.op) as WireOp
  return {
    op_id: op.op_id,
    seq: localSeq(row.seq),
    method: op.method,
    code: row.code,
    message: row.message,
    key: row.key ?? undefined,
    depends_on: op.depends_on,
    bytes: Buffer.byteLength(op.args),
    ...(withArgs && { args: op.args }),
    time_created: op.time_created,
    time_rejected: row.time_created,
  }
}
