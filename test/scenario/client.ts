/** One outbox file of a test world and the process that has it open. It can die at any named point. */
import { Database } from "bun:sqlite"
import { openOutbox, type Outbox } from "../../src/outbox.ts"
import type { Seams } from "../../src/intent/seam.ts"
import { ulidFromBytes, ulidToBytes } from "../../src/intent/ulid.ts"
import type { StreamRow, SturdyRef } from "../../src/store/stream.ts"
import type { RecordInput } from "../../src/record-input.ts"
import type { Stream } from "../../src/stream.ts"
import type { Fate, Network } from "./network.ts"
import { copyDatabase, type Surroundings } from "./surroundings.ts"

export type OpState = "pending" | "applied" | "superseded" | "dead" | "discarded"

/** The process died here. */
export class Killed extends Error {}

interface Life {
  dead: boolean
  file: string
}

type More = Partial<RecordInput> & { poison?: boolean }

const words: Record<string, OpState> = {
  pending: "pending",
  in_flight: "pending",
  acked: "applied",
  superseded: "superseded",
  failed: "dead",
  discarded: "discarded",
}

export class Client {
  #outbox: Outbox | undefined
  #reader: Database | undefined
  #life: Life
  #killAt: { at: number; name: string | undefined } | undefined
  /** Ops whose record returned and that the file, after a restore, can know; in the order of recording. */
  recorded: string[] = []
  /** Those of them that stand for a dead letter: a copy that retries the same sends the same op, at a time of its own. */
  readonly retried = new Set<string>()
  /** A copy of the file lives or lived elsewhere, or later. */
  hasTwin = false
  /** Seams passed so far, for a test that wants to die at each of them. */
  crashPoints: string[] = []
  onCopy: (twin: Client) => void = () => {}
  /** Causes of what its living processes told as fault: none is expected in any of these worlds. */
  readonly faults: unknown[] = []
  /** Names of events, in order, without those of every POST. */
  readonly events: string[] = []

  constructor(
    readonly world: Surroundings,
    readonly net: Network,
    readonly name: string,
    readonly ref: SturdyRef,
    /** Each next process dies at the n-th crash point of its life. */
    public deaths: number[] = [],
  ) {
    this.#life = { dead: true, file: world.file(name) }
  }

  get opened(): boolean {
    return this.#outbox !== undefined && !this.#life.dead
  }

  get outbox(): Outbox {
    return this.#outbox!
  }

  get stream(): Stream {
    return this.outbox.stream("s", this.ref, this.world.creates ? { create: { session_id: "ses_1" } } : {})
  }

  open(file: string): void {
    const life: Life = { dead: false, file }
    this.#life = life
    this.#outbox = openOutbox(file, { seams: this.#seams(life), transport: this.#transport(life) })
    this.#reader = new Database(file, { readonly: true })
    for (const event of ["twin", "server_reset", "removed", "blocked"] as const)
      this.#outbox.on(event, () => this.events.push(event))
    this.#outbox.on("fault", ({ cause }) => {
      if (!life.dead) this.faults.push(cause)
    })
    void this.stream
  }

  /** Records ops, each a unit. The last word on a key is `key`. */
  record(names: string, more: More = {}): void {
    for (const name of names.split(" ")) this.#record(name, more)
  }

  unit(names: string, more: More = {}): void {
    const ops = this.outbox.unit(() => names.split(" ").map((name) => this.#intent(name, more)))
    ops.forEach((intent, index) => this.#note(this.outbox.opId(intent), names.split(" ")[index]!))
  }

  id(name: string): string {
    const known = this.recorded.findLast((op_id) => this.world.name(op_id) === name)
    // A process that died while it retried did not hear the names: then an op is called by its id.
    return known ?? name
  }

  /** The next POSTs of this client meet these fates; returns when they have and nothing is left to do at once. */
  async posts(...fates: Fate[]): Promise<void> {
    this.net.script(this.name, fates)
    await this.world.until(`POST of ${this.name}`, () => this.killed || !this.net.scripted(this.name))
  }

  /** Everything is settled, or a block says why not. */
  async drained(): Promise<void> {
    let ended = false
    const flush = this.outbox.flush().finally(() => {
      ended = true
    })
    // Nobody answers for the dead.
    flush.catch(() => {})
    await this.world.until(`flush of ${this.name}`, () => ended || this.killed)
    if (!this.killed) await flush
    await this.world.calm()
  }

  /** Does it, whatever number of processes it takes: each dies at the next of its `deaths`. */
  async survives(act: () => unknown): Promise<void> {
    for (;;) {
      try {
        if (this.killed) this.reopen()
        await act()
      } catch (error) {
        if (!(error instanceof Killed)) throw error
      }
      if (!this.killed) return
    }
  }

  /** Names of its undecided dead letters, oldest first. */
  get undecided(): string[] {
    return this.stream.deadLetters().map(({ op_id }) => this.world.name(op_id))
  }

  /** Retries a dead letter. What is recorded for it and for those that go along has its name and a tick; returns these. */
  retry(name: string): string[] {
    return this.stream.retry(this.id(name)).map(({ op_id, as_op_id }) => {
      const called = `${this.world.name(op_id)}'`
      this.#note(as_op_id, called)
      this.retried.add(as_op_id)
      return called
    })
  }

  discard(name: string): string[] {
    return this.stream.discard(this.id(name)).map((op_id) => this.world.name(op_id))
  }

  remove(): void {
    this.stream.remove()
  }

  /** Dies at the next point of this name. */
  killAt(name: string): void {
    this.#killAt = { at: 1, name }
  }

  /** From now on it lives. */
  spare(): void {
    this.deaths = []
    this.#killAt = undefined
  }

  get killed(): boolean {
    return this.#life.dead
  }

  /** kill -9 now, between two steps. */
  kill(): void {
    this.#die(this.#life)
  }

  /** The next process on the file as the dead one left it. */
  reopen(): void {
    const next = this.deaths.shift()
    this.#killAt = next === undefined ? undefined : { at: next, name: undefined }
    this.open(this.#life.file)
  }

  backup(): { file: string; recorded: string[] } {
    const file = this.world.file(`${this.name}-backup`)
    copyDatabase(this.#life.file, file)
    return { file, recorded: [...this.recorded] }
  }

  /** The process dies and its file is replaced by an older one. */
  restore(backup: { file: string; recorded: string[] }): void {
    if (!this.#life.dead) this.kill()
    this.hasTwin = true
    this.recorded = [...backup.recorded]
    const file = this.world.file(this.name)
    copyDatabase(backup.file, file)
    this.open(file)
  }

  /** A second machine goes on with a copy of the file. */
  copy(name: string): Client {
    this.hasTwin = true
    const twin = new Client(this.world, this.net, name, this.ref)
    twin.onCopy = this.onCopy
    this.onCopy(twin)
    twin.restore(this.backup())
    return twin
  }

  close(): Promise<void> {
    this.#reader?.close()
    const closed = this.outbox.close({ flush_ms: 0 })
    this.#outbox = undefined
    return closed
  }

  get row(): StreamRow {
    return this.#reader!.prepare("select * from sturdy_stream where name = 's'").get() as StreamRow
  }

  /** What the file says of each of its ops, by op_id. More than one word for an op is a fault of its own. */
  get states(): Map<string, OpState[]> {
    const rows = this.#reader!.prepare("select op_id, state from op_state").all() as { op_id: string; state: string }[]
    return Map.groupBy(rows, (row) => row.op_id)
      .entries()
      .reduce(
        (map, [op_id, found]) =>
          map.set(
            op_id,
            found.map((row) => words[row.state]!),
          ),
        new Map<string, OpState[]>(),
      )
  }

  state(name: string): OpState | undefined {
    return this.states.get(this.id(name))?.[0]
  }

  /** The newer op that replaced it here. */
  replacedBy(name: string): string | undefined {
    const row = this.#reader!.prepare("select by_op_id from sturdy_superseded where op_id = ?").get(
      ulidToBytes(this.id(name)),
    ) as { by_op_id: Uint8Array | null } | null
    return row?.by_op_id ? this.world.name(ulidFromBytes(row.by_op_id)) : undefined
  }

  /** E.g. `applied 1 2, dead 3, block share_removed`. */
  get stands(): string {
    const { states } = this
    const byState = Map.groupBy(this.recorded, (op_id) => states.get(op_id)?.join("+") ?? "pruned")
    const parts = [...byState].map(([state, ids]) => `${state} ${ids.map((id) => this.world.name(id)).join(" ")}`)
    const { block } = this.row
    return [...parts, ...(block ? [`block ${block}`] : [])].join(", ")
  }

  #record(name: string, more: More): void {
    this.#note(this.outbox.opId(this.#intent(name, more)), name)
  }

  #intent(name: string, { poison, ...more }: More) {
    return this.stream.record({ method: poison ? "poison" : "put", args: [name], ...more })
  }

  #note(op_id: string, name: string): void {
    this.world.rename(op_id, name)
    this.recorded.push(op_id)
  }

  #transport(life: Life) {
    return this.net.transport(this.name, () => life.dead)
  }

  #seams(life: Life): Seams {
    const { clock } = this.world
    return {
      random: this.world.random(),
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        // The timers of the dead never fire.
        timer: (delay_ms, callback) => clock.timer(delay_ms, () => life.dead || callback()),
        block: (delay_ms) => clock.block(delay_ms),
      },
      crashPoint: (name) => this.#crashPoint(life, name),
    }
  }

  #crashPoint(life: Life, name: string): void {
    if (life.dead) throw new Killed(name)
    this.crashPoints.push(name)
    if (!this.#killAt || (this.#killAt.name !== undefined && this.#killAt.name !== name)) return
    if (--this.#killAt.at > 0) return
    this.#die(life)
    throw new Killed(name)
  }

  /** What was committed until now is what the next process finds. */
  #die(life: Life): void {
    this.#reader?.close()
    life.dead = true
    const file = this.world.file(this.name)
    copyDatabase(life.file, file)
    life.file = file
  }
}
