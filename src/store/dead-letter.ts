/**
 * Dead letters: what the server rejected for good, kept whole until a person or the host decides. Only what was settled
 * as rejected is here, so nothing of an unknown outcome can be retried or given up.
 *
 * A retry records new ops. Their ids are derived, so that two copies of one outbox that retry the same dead letter send
 * the same op, which the server applies once.
 */
import type { Statement } from "bun:sqlite"
import { assert, SturdyError } from "../intent/error.ts"
import type { WireOp } from "../intent/op.ts"
import { replaceReferences, type Node } from "../intent/reference.ts"
import { kindOf } from "../intent/shape.ts"
import { isUlid, ulidFromBytes } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"
import type { DeadGraph, DeadNode, Decision } from "./dead-graph.ts"
import { type DeadLetter, type DeadLetterPage, DeadLetterRows, type LetterRow } from "./dead-letter-row.ts"
import { idBlob } from "./id-blob.ts"
import type { Knowledge } from "./knowledge.ts"
import type { NewOp } from "./new-op.ts"
import type { Recorder } from "./record.ts"
import { streamIdOf, type StreamRow, type Streams } from "./stream.ts"

/** A dead letter and the op that was recorded for it. */
export interface Retried {
  op_id: string
  as_op_id: string
}

export class DeadLetters {
  readonly #connection: Connection
  readonly #rows: DeadLetterRows
  readonly #owner: Statement<{ seq: number }>
  readonly #decide: Statement
  readonly #count: Statement
  readonly #moveItem: Statement
  readonly #forgetItem: Statement

  constructor(
    readonly recorder: Recorder,
    readonly streams: Streams,
    readonly knowledge: Knowledge,
  ) {
    this.#connection = recorder.connection
    const { db } = this.#connection
    this.#rows = new DeadLetterRows(this.#connection)
    this.#owner = db.prepare("select seq from sturdy_dead_letter where op_id = ?")
    this.#decide = db.prepare(
      `update sturdy_dead_letter set decision = ?, time_decided = ?, retried_op_id = ?
       where seq = ? and decision is null`,
    )
    this.#count = db.prepare("update sturdy_stream set dead_count = dead_count - ? where stream_id = ?")
    this.#moveItem = db.prepare(
      `update sturdy_item set first_op_id = iif(first_op_id = ?3, ?4, first_op_id), op_id = iif(op_id = ?3, ?4, op_id)
       where stream_id = ?1 and key = ?2`,
    )
    this.#forgetItem = db.prepare(
      `delete from sturdy_item where stream_id = ?1 and first_op_id = ?2
         and key = (select key from sturdy_dead_letter where seq = ?3)`,
    )
  }

  /** Undecided ones, oldest first. */
  page(stream_id: number, page: DeadLetterPage): DeadLetter[] {
    return this.#rows.page(stream_id, page)
  }

  /**
   * Records the dead letter again, and those that hang on it alone: each a unit of its own, all in one transaction.
   * They replace no op of their key: what they carry is older than whatever was recorded since.
   *
   * @throws SturdyError `dead_letter_unknown`, `dead_letter_decided`, `dead_letter_dependent`, `invalid_argument`, and
   *   what recording throws; nothing was written unless `indeterminate`, and then repeating is safe.
   */
  retry(stream_id: number, op_id: string): { retried: Retried[]; ops: NewOp[] } {
    return this.#connection.write("retry", () => {
      const stream = this.streams.get(stream_id)
      const graph = this.#rows.graph(stream_id)
      const root = this.#undecided(stream, graph, op_id)
      refuseDependent(stream, root, graph)
      const nodes = graph.retriedWith(root)
      const names = this.#derive(stream, nodes)
      const name = (on: string) => names.get(graph.latest(on)) ?? graph.latest(on)
      const ops = nodes.map((node) => this.#again(this.#rows.letter(node.seq), name))
      this.recorder.append(
        stream_id,
        nodes.map((node, index) => ({ op: ops[index]!, of: node.op_id })),
      )
      nodes.forEach((node, index) => this.#retried(stream_id, node, ops[index]!))
      this.#decided(stream_id, nodes.length)
      return { ops, retried: nodes.map((node, index) => ({ op_id: node.op_id, as_op_id: ops[index]!.op_id })) }
    })
  }

  /**
   * Gives the dead letter up, and all that hangs on it; returns their op_ids. Nothing changes at the server.
   *
   * @throws SturdyError `dead_letter_unknown`, `dead_letter_decided`, `invalid_argument`, and faults of the storage.
   */
  discard(stream_id: number, op_id: string): string[] {
    return this.#connection.write("discard", () => {
      const graph = this.#rows.graph(stream_id)
      const nodes = graph.discardedWith(this.#undecided(this.streams.get(stream_id), graph, op_id))
      for (const node of nodes) {
        this.#mark(node, "discarded", undefined)
        // Nothing that comes under the key may depend on it any more: it would be rejected too.
        this.#forgetItem.run(stream_id, idBlob(node.op_id), node.seq)
      }
      this.#decided(stream_id, nodes.length)
      return nodes.map((node) => node.op_id)
    })
  }

  #retried(stream_id: number, node: DeadNode, { op_id, key }: NewOp): void {
    this.#mark(node, "retried", op_id)
    // Later ops depend on the first op of a key, and the same content again is the latest one: both are the new op now.
    if (key !== undefined) this.#moveItem.run(stream_id, key, idBlob(node.op_id), idBlob(op_id))
  }

  #decided(stream_id: number, count: number): void {
    this.#count.run(count, stream_id)
    this.#rows.forgetPruned(this.streams.get(stream_id))
  }

  #mark(node: DeadNode, decision: Decision, retried_op_id: string | undefined): void {
    const now = this.#connection.seams.clock.now()
    const { changes } = this.#decide.run(decision, now, retried_op_id ? idBlob(retried_op_id) : null, node.seq)
    assert(
      changes === 1,
      `dead letter ${node.op_id} is to be ${decision} and is not there, or decided: seq ${node.seq}`,
    )
  }

  /** New names by old. The count of a retry goes on while its id is known: a server_reset may have brought it back. */
  #derive(stream: StreamRow, nodes: readonly DeadNode[]): Map<string, string> {
    const names = new Map<string, string>()
    let rest = nodes.map((node) => node.op_id)
    for (let count = 1; rest.length > 0; count++) {
      const derived = new Map(rest.map((op_id) => [derivedOpId(op_id, count), op_id]))
      const known = this.knowledge.knownOf(stream, [...derived.keys()], Math.min(...nodes.map((node) => node.seq)))
      for (const [name, op_id] of derived) if (!known.has(name)) names.set(op_id, name)
      rest = rest.filter((op_id) => !names.has(op_id))
    }
    return names
  }

  /** The same call as a new op, on the ops that stand for its dependencies by now. */
  #again(letter: LetterRow, name: (op_id: string) => string): NewOp {
    const op = JSON.parse(letter.op) as WireOp
    const references = new Set<string>()
    const rename = (op_id: string) => {
      references.add(name(op_id))
      return name(op_id)
    }
    const args = argsWith(op, rename)
    return {
      op_id: name(op.op_id),
      ...(op.target && { target: [rename(op.target[0]), ...op.target.slice(1)] as NewOp["target"] & {} }),
      method: op.method,
      args,
      depends_on: [...new Set(op.depends_on.map(name))],
      references: [...references],
      want_result: op.want_result ?? false,
      schema_version: op.schema_version,
      actor_id: op.actor_id,
      time_created: this.#connection.seams.clock.now(),
      key: letter.key ?? undefined,
      capture_id: undefined,
      stale: false,
      only_if_changed: false,
      depends_on_keys: [],
      ends_keys: undefined,
    }
  }

  /** @throws SturdyError `invalid_argument`, `dead_letter_unknown`, `dead_letter_decided`, each with what the op is. */
  #undecided(stream: StreamRow, graph: DeadGraph, op_id: string): DeadNode {
    if (!isUlid(op_id))
      // Not repeated: it may be a whole dead letter, with its arguments.
      throw new SturdyError(
        "invalid_argument",
        `stream ${stream.name}: ${typeof op_id === "string" ? "the text" : kindOf(op_id)} is not an op_id; nothing was written`,
        "Pass the op_id of one of deadLetters().",
      )
    const found = this.knowledge.stateOf(stream, op_id)
    if (found?.state === "discarded" && found.code !== undefined) throw decided(stream, op_id, undefined)
    if (found?.state !== "dead") throw notDead(stream, op_id, found?.state, () => this.#ownerOf(op_id))
    if (found.retried_op_id !== undefined) throw decided(stream, op_id, found.retried_op_id)
    const node = graph.lookup.letter(op_id)
    assert(node, `dead letter ${op_id} is known and not among those of its stream`)
    return node
  }

  #ownerOf(op_id: string): string | undefined {
    const row = this.#owner.get(idBlob(op_id))
    return row ? this.streams.get(streamIdOf(row.seq)).name : undefined
  }
}

/** Deterministic: the same dead letter is retried under the same id by every copy of the outbox. */
export function derivedOpId(dead_op_id: string, count: number): string {
  const digest = new Bun.CryptoHasher("sha256").update(`sturdy/dead-letter-retry/${dead_op_id}/${count}`).digest()
  return ulidFromBytes(new Uint8Array(digest).slice(0, 16))
}

function argsWith(op: WireOp, rename: (op_id: string) => string): string {
  if (!op.args.includes('"$ref"')) return op.args
  const node = replaceReferences(JSON.parse(op.args) as Node, op.codec, op.depends_on, ({ op_id, path }) => [
    "$ref",
    rename(op_id),
    path,
  ])
  return JSON.stringify(node)
}

function refuseDependent(stream: StreamRow, node: DeadNode, graph: DeadGraph): void {
  const [on] = graph.deadDependencies(node)
  if (!on) return
  throw new SturdyError(
    "dead_letter_dependent",
    `stream ${stream.name}: dead letter ${node.op_id} depends on ${on.op_id}, which ${on.decision ? "was given up" : "is a dead letter too"}: it would be rejected again; nothing was written`,
    on.decision
      ? "Discard this one too; what is still wanted of it, record anew without that dependency."
      : "Retry that one: this one goes with it.",
  )
}

function decided(stream: StreamRow, op_id: string, retried_op_id: string | undefined): SturdyError {
  const how = retried_op_id === undefined ? "was discarded" : `was retried as ${retried_op_id}`
  return new SturdyError(
    "dead_letter_decided",
    `stream ${stream.name}: dead letter ${op_id} ${how}; nothing was written`,
    retried_op_id === undefined
      ? "What was given up stays so: record it anew if it is wanted after all."
      : "See what became of that op; if it was rejected too, retry that one.",
  )
}

function notDead(
  stream: StreamRow,
  op_id: string,
  state: string | undefined,
  otherStream: () => string | undefined,
): SturdyError {
  const other = state === undefined ? otherStream() : undefined
  const what =
    state !== undefined ? `is ${state}, no dead letter` : other ? `is a dead letter of stream ${other}` : "is not known"
  return new SturdyError(
    "dead_letter_unknown",
    `stream ${stream.name}: op ${op_id} ${what}; nothing was written`,
    other ? "Ask that stream." : "Only what the service rejected can be retried or discarded: deadLetters() lists it.",
  )
}
