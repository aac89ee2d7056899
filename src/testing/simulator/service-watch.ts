/** Looks at each batch that the service was asked to decide, and at its answer: what it may never say, whoever asks. */
import { ulidFromBytes, ulidToBytes } from "../../intent/ulid.ts"
import type { Ack, AppendBatch, Refusal } from "../../wire/contract.ts"
import type { Simulation } from "./simulation.ts"

interface Register {
  cursor: number
  head_op_id: string | null
}

const nowhere: Register = { cursor: 0, head_op_id: null }

export class ServiceWatch {
  readonly #texts = new Map<string, string>()
  readonly #batches = new Map<string, string>()
  /** Of each writer, as the last answer to it left it. */
  readonly #registers = new Map<string, Register>()
  /** By op, as it was answered: the code of its rejection, or none. */
  readonly #outcomes = new Map<string, string>()
  /** Rollbacks so far, as of these outcomes. */
  #forgotten = 0
  /** Rollbacks and deaths so far: either may have moved a register without an answer. */
  #unseen = 0
  /** Ops that were recorded as one unit, by each of them. */
  readonly #units = new Map<string, readonly string[]>()

  constructor(readonly sim: Simulation) {}

  unit(op_ids: readonly string[]): void {
    for (const op_id of op_ids) this.#units.set(op_id, op_ids)
  }

  answered(batch: AppendBatch, answer: Ack | Refusal, share_id: string): string[] {
    const share = this.sim.world.server.shareOf(share_id)
    const wrong = [...this.#identical(batch), ...this.#whole(batch)]
    // With a share go its registers.
    if (share === "live") wrong.push(...this.#moved(batch, answer))
    if ("refused" in answer) return wrong
    if (share !== "live") wrong.push(`I9 batch ${batch.batch_id} was decided, and its share is ${share}`)
    return [...wrong, ...this.#dependencies(batch, answer), ...this.#final(answer)]
  }

  /** I4: what became of an op stays so, until the service forgets it. */
  #final({ applied, duplicates, rejected }: Ack): string[] {
    const { server } = this.sim.world
    if (server.rollbacks !== this.#forgotten) this.#outcomes.clear()
    this.#forgotten = server.rollbacks
    const said = [
      ...[...applied, ...duplicates].map((op_id) => ({ op_id, code: "" })),
      ...rejected.map(({ op_id, code }) => ({ op_id, code })),
    ]
    return said.flatMap(({ op_id, code }) => {
      const before = this.#outcomes.get(op_id) ?? code
      this.#outcomes.set(op_id, before)
      const words = [before, code].map((word) => (word === "" ? "applied" : `rejected ${word}`))
      return before === code ? [] : [`I4 ${this.sim.world.name(op_id)} was ${words[0]}, and is ${words[1]}`]
    })
  }

  /** I8: an op says the same in every attempt, and a batch holds the same ops: what is cut gets other ids. */
  #identical(batch: AppendBatch): string[] {
    const { world } = this.sim
    const wrong: string[] = []
    for (const op of batch.ops) {
      // A copy that retries the same dead letter sends the same op, at a time of its own.
      const isRetry = world.files.some((file) => file.retried.has(op.op_id))
      const text = JSON.stringify(isRetry ? { ...op, time_created: 0 } : op)
      const before = this.#texts.get(op.op_id) ?? text
      this.#texts.set(op.op_id, before)
      if (before !== text) wrong.push(`I8 op ${world.name(op.op_id)} was sent as ${before} and as ${text}`)
    }
    const ops = batch.ops.map((op) => op.op_id).join(" ")
    const before = this.#batches.get(batch.batch_id) ?? ops
    this.#batches.set(batch.batch_id, before)
    return before === ops ? wrong : [...wrong, `I8 batch ${batch.batch_id} was sent with ${before} and with ${ops}`]
  }

  /** A unit is decided together, so it is never split. */
  #whole({ batch_id, ops }: AppendBatch): string[] {
    const sent = new Set(ops.map((op) => op.op_id))
    const split = ops.find(({ op_id }) => this.#units.get(op_id)?.some((other) => !sent.has(other)))
    return split ? [`batch ${batch_id} holds a part of the unit of ${this.sim.world.name(split.op_id)}`] : []
  }

  /** I5: a register moves by the ops of a batch that was made for it, and by nothing else; an answer names it as it is. */
  #moved({ batch_id, writer_id, expected_cursor, expected_head_op_id, ops }: AppendBatch, answer: Ack | Refusal) {
    const { server } = this.sim.world
    const unseen = server.rollbacks + server.deaths
    if (unseen !== this.#unseen) this.#registers.clear()
    this.#unseen = unseen
    const now = this.#registerOf(writer_id)
    const before = this.#registers.get(writer_id)
    this.#registers.set(writer_id, now)
    const said = answer.cursor === undefined || ("refused" in answer && answer.head_op_id === undefined) ? now : answer
    const wrong: string[] = []
    // The answer to what a writer sent that never decided anything names the op itself: an Ack needs a head.
    if (now.head_op_id !== null && (said.cursor !== now.cursor || said.head_op_id !== now.head_op_id))
      wrong.push(`I5 batch ${batch_id} was told ${said.cursor} ${said.head_op_id}, not ${now.cursor} ${now.head_op_id}`)
    if (!before || (before.cursor === now.cursor && before.head_op_id === now.head_op_id)) return wrong
    const isMeant = expected_cursor === before.cursor && expected_head_op_id === before.head_op_id
    const moved =
      isMeant && !("refused" in answer) ? { cursor: before.cursor + ops.length, head_op_id: ops.at(-1)!.op_id } : before
    if (now.cursor !== moved.cursor || now.head_op_id !== moved.head_op_id)
      wrong.push(
        `I5 batch ${batch_id} for ${expected_cursor} moved the register from ${before.cursor} to ${now.cursor}`,
      )
    return wrong
  }

  #registerOf(writer_id: string): Register {
    const row = this.sim.world.server.sql.get<{ cursor: number; head_op_id: Uint8Array }>(
      `SELECT cursor, head_op_id FROM writer WHERE writer_id = ?`,
      writer_id,
    )
    return row ? { cursor: row.cursor, head_op_id: ulidFromBytes(row.head_op_id) } : nowhere
  }

  /** I3: what an op depends on was applied before it, or superseded; never rejected, nor unknown. */
  #dependencies({ ops }: AppendBatch, { applied }: Ack): string[] {
    const now = new Set(applied)
    return ops.flatMap(({ op_id, depends_on }) => {
      if (depends_on.length === 0 || !now.has(op_id)) return []
      const position = this.#outcome(op_id)!.position!
      const lacking = depends_on.filter((on) => {
        const found = this.#outcome(on)
        return !found || found.code !== null || (found.position ?? 0) > position
      })
      const { world } = this.sim
      return lacking.map((on) => `I3 ${world.name(op_id)} was applied without ${world.name(on)}, on which it depends`)
    })
  }

  #outcome(op_id: string): { position: number | null; code: string | null } | undefined {
    return this.sim.world.server.sql.get(`SELECT position, code FROM op WHERE op_id = ?`, ulidToBytes(op_id))
  }
}
