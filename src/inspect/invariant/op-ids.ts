/** I2 and the dependencies of I3: each op_id once, and on older ones only, without an index and without a list of all. */
import { endSeq, firstSeq, localSeq } from "../../store/stream.ts"
import { IdFilter } from "./id-filter.ts"
import type { OutboxReader, StreamPlaces } from "./outbox-reader.ts"
import { finding, nameOf, type Finding } from "./rule.ts"

interface Suspect {
  seq: number
  hex: string
}

/** So many are looked up, in one look and in one each: what is wrong beyond that is wrong in the same way. */
const twice_max = 100
const younger_max = 10

const none = new Uint8Array()

export class OpIds {
  readonly #seen: IdFilter
  /** Depended on before they were seen: pruned, of another outbox, or younger. */
  readonly #awaited: IdFilter
  readonly #twice: Suspect[] = []
  readonly #younger: Suspect[] = []
  #at = 0

  constructor(ops: number) {
    this.#seen = new IdFilter(ops)
    this.#awaited = new IdFilter(ops)
  }

  /** In the order of the stream; a place that was told before is not told again. */
  add(seq: number, op_id: Uint8Array, depends_on: Uint8Array | null = null): void {
    if (seq <= this.#at) return
    this.#at = seq
    const dependencies = depends_on ?? none
    for (let at = 0; at + 16 <= dependencies.length; at += 16)
      if (!this.#seen.has(dependencies, at)) this.#awaited.add(dependencies, at)
    if (op_id.length !== 16) return
    if (this.#awaited.has(op_id)) note(this.#younger, seq, op_id, younger_max)
    if (this.#seen.has(op_id)) note(this.#twice, seq, op_id, twice_max)
    this.#seen.add(op_id)
  }

  /** In one read transaction: a suspicion may have been met by chance, or by what is not there any more. */
  check(reader: OutboxReader, stream: StreamPlaces): Finding[] {
    return [...this.#findTwice(reader, stream), ...this.#findYounger(reader, stream)]
  }

  #findTwice(reader: OutboxReader, stream: StreamPlaces): Finding[] {
    if (this.#twice.length === 0) return []
    const find = (table: string) =>
      `select seq, op_id from ${table} where op_id in (select unhex(value) from json_each(?3)) and seq > ?1 and seq < ?2`
    const rows = reader.all<{ seq: number; op_id: Uint8Array }>(
      `${["sturdy_op", "sturdy_dead_letter", "sturdy_superseded"].map(find).join(" union all ")} order by 1`,
      firstSeq(stream.stream_id),
      endSeq(stream.stream_id),
      JSON.stringify(this.#twice.map(({ hex }) => hex)),
    )
    return [...Map.groupBy(rows, ({ op_id }) => nameOf(op_id))].flatMap(([name, found]) => {
      const [first, second] = [...new Set(found.map(({ seq }) => seq))]
      if (second === undefined) return []
      const what = `op ${name} stands at places ${localSeq(first!)} and ${localSeq(second)}`
      return [finding("op_id_twice", stream, what, { seq: second, op_id: found[0]!.op_id })]
    })
  }

  #findYounger(reader: OutboxReader, stream: StreamPlaces): Finding[] {
    return this.#younger.flatMap(({ seq, hex }) => {
      const op = reader.opAt(seq)
      if (!op || Buffer.from(op.op_id).toString("hex") !== hex) return []
      const early = reader.get<{ seq: number; op_id: Uint8Array }>(
        `select seq, op_id from sturdy_op where depends_on is not null and seq > ? and seq <= ?
           and (instr(depends_on, unhex(?)) - 1) % 16 = 0 order by seq limit 1`,
        firstSeq(stream.stream_id),
        seq,
        hex,
      )
      if (!early) return []
      const what = `op ${nameOf(early.op_id)} at place ${localSeq(early.seq)} depends on ${nameOf(op.op_id)} at place ${localSeq(seq)}`
      return [finding("dependency_younger", stream, what, early)]
    })
  }
}

function note(suspects: Suspect[], seq: number, op_id: Uint8Array, max: number): void {
  if (suspects.length < max) suspects.push({ seq, hex: Buffer.from(op_id).toString("hex") })
}
