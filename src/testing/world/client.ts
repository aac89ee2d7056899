/** One process of a simulated world on its outbox file. It can die at any named point, stop, and be followed by another. */
import { ulidFromBytes } from "../../intent/ulid.ts"
import type { OutboxEvent } from "../../inspect/event.ts"
import { openOutbox, type Outbox } from "../../outbox.ts"
import type { OutboxOptions } from "../../options.ts"
import type { RecordInput } from "../../record-input.ts"
import type { StreamRow, SturdyRef } from "../../store/stream.ts"
import type { Stream } from "../../stream.ts"
import { handleOf } from "./disk.ts"
import { Killed, Life } from "./life.ts"
import { standsOf, statesIn } from "./op-state.ts"
import type { Fate } from "./network.ts"
import type { Backup, OpState, OutboxFile } from "./outbox-file.ts"
import type { World } from "./world.ts"

type More = Partial<RecordInput> & { poison?: boolean; stream?: string }

/** What a process is started with, beyond its file. */
export type ClientOptions = Omit<OutboxOptions, "seams" | "transport">

export class Client {
  #outbox: Outbox | undefined
  /** The last one; none before the first start. */
  #life: Life | undefined
  #killAt: { at: number; name: string | undefined } | undefined
  /** Processes so far. */
  lives = 0
  /** Of the wall clock of its machine, ms. */
  skew_ms = 0
  /** Seams passed so far, for a test that wants to die at each of them. */
  crashPoints: string[] = []
  /** Causes of what its living processes told as fault. */
  readonly faults: unknown[] = []
  /** Names of events, in order, without those of every POST. */
  readonly events: string[] = []

  constructor(
    readonly world: World,
    readonly name: string,
    readonly file: OutboxFile,
    readonly ref: SturdyRef,
    readonly options: ClientOptions = {},
    /** Each next process dies at the n-th crash point of its life. */
    public deaths: number[] = [],
  ) {}

  get opened(): boolean {
    return this.#outbox !== undefined && !this.killed
  }

  get outbox(): Outbox {
    return this.#outbox!
  }

  get stream(): Stream {
    return this.streamOf("s")
  }

  streamOf(name: string): Stream {
    const known = this.outbox.findStream(name)
    if (known) return known
    const { world } = this
    const create = world.creates ? { create: { session_id: "ses_1" } } : {}
    return this.outbox.stream(name, name === "s" ? this.ref : world.refOf(name), create)
  }

  /** The next process on the file as the dead one left it. */
  reopen(): void {
    const next = this.deaths.shift()
    this.#killAt = next === undefined ? undefined : { at: next, name: undefined }
    const life = new Life()
    this.#life = life
    this.lives += 1
    const { world, file } = this
    const seams = life.seams({
      clock: world.clock,
      random: world.random(),
      skew_ms: () => this.skew_ms,
      diesAt: (name) => this.#diesAt(name),
      // What was not committed is rolled back by who comes next.
      died: () => {
        world.crashes += 1
        if (file.db.inTransaction) file.db.run("rollback")
      },
    })
    const database = handleOf(file, () => life.dead)
    this.#outbox = openOutbox({ database }, { ...this.options, seams, transport: world.net.transport(this, life) })
    this.#outbox.onAny((event) => life.dead || this.#heard(event))
    void this.stream
  }

  /** Records ops, each a unit. The last word on a key is `key`. */
  record(names: string, more: More = {}): void {
    for (const name of names.split(" ")) this.note(this.outbox.opId(this.intent(name, more)), name, more.stream)
  }

  unit(names: string, more: More | ((name: string) => More) = {}): string[] {
    const each = names.split(" ").map((name) => ({ name, more: typeof more === "function" ? more(name) : more }))
    const ops = this.outbox.unit(() => each.map((op) => this.intent(op.name, op.more)))
    return ops.map((intent, at) => this.note(this.outbox.opId(intent), each[at]!.name, each[at]!.more.stream))
  }

  intent(name: string, { poison, stream, ...more }: More = {}) {
    return this.streamOf(stream ?? "s").record({ method: poison ? "poison" : "put", args: [name], ...more })
  }

  get recorded(): string[] {
    return this.file.recorded()
  }

  /** What a test knows better: e.g. of a process that died before it could tell. */
  set recorded(ops: readonly string[]) {
    this.file.recorded().splice(0, Infinity, ...ops)
  }

  id(name: string): string {
    const known = this.file.recordedAnywhere.findLast((op_id) => this.world.name(op_id) === name)
    // A process that died while it retried, or that did not hear whether it had recorded: then the world knows, or nobody.
    return known ?? this.world.idOf(name) ?? name
  }

  /** The next POSTs of this client meet these fates; returns when they have and nothing is left to do at once. */
  async posts(...fates: Fate[]): Promise<void> {
    const { net } = this.world
    net.script(this.name, fates)
    await this.world.until(`POST of ${this.name}`, () => this.killed || !net.scripted(this.name))
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
  undecided(stream = "s"): string[] {
    return this.streamOf(stream)
      .deadLetters()
      .map(({ op_id }) => this.world.name(op_id))
  }

  /** Retries a dead letter. What is recorded for it and for those that go along has its name and a tick; returns these. */
  retry(name: string, stream = "s"): string[] {
    return this.streamOf(stream)
      .retry(this.id(name))
      .map(({ op_id, as_op_id }) => {
        const called = `${this.world.name(op_id)}'`
        this.note(as_op_id, called, stream)
        this.file.retried.add(as_op_id)
        return called
      })
  }

  /** A process that died while it retried did not hear what was recorded for its dead letters. */
  learnRetries(): void {
    for (const [dead, op_id] of this.file.retries) {
      this.note(op_id, `${this.world.name(dead)}'`, "s", true)
      this.file.retried.add(op_id)
    }
  }

  discard(name: string, stream = "s"): string[] {
    return this.streamOf(stream)
      .discard(this.id(name))
      .map((op_id) => this.world.name(op_id))
  }

  remove(stream = "s"): void {
    this.streamOf(stream).remove()
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
    return this.#life?.dead ?? true
  }

  /** kill -9 now, between two steps. */
  kill(): void {
    if (this.killed) return
    this.world.crashes += 1
    this.#life!.kill()
  }

  /** It ends in order: no crash. */
  end(): void {
    this.#life?.kill()
  }

  get stopped(): boolean {
    return this.#life?.stopped ?? false
  }

  /** SIGSTOP: its clocks run on, and it does nothing. */
  stop(): void {
    this.#life?.stop()
  }

  /** SIGCONT. */
  go(): void {
    this.#life?.go()
  }

  backup(): Backup {
    return this.file.backup()
  }

  /** Every process on the file dies, and it is replaced by an older one. */
  restore(backup: Backup): void {
    for (const client of this.world.clients) if (client.file === this.file) client.kill()
    this.file.restore(backup)
    this.reopen()
  }

  /** A second machine goes on with a copy of the file. */
  copy(name: string): Client {
    this.file.hasTwin = true
    return this.world.join(name, this.world.file(name, this.backup()), this.ref, this.options)
  }

  /** A second process on the same file. */
  sibling(name: string): Client {
    return this.world.join(name, this.file, this.ref, this.options)
  }

  async close(): Promise<void> {
    this.go()
    await this.outbox.close({ flush_ms: 0 })
    this.end()
  }

  get row(): StreamRow {
    return this.file.row("s")!
  }

  state(name: string): OpState | undefined {
    return statesIn(this.file).get(this.id(name))?.[0]
  }

  /** The newer op that replaced it here. */
  replacedBy(name: string): string | undefined {
    const by = this.file.replacing(this.id(name))
    return by && this.world.name(ulidFromBytes(by))
  }

  /** E.g. `applied 1 2, dead 3, block share_removed`. */
  get stands(): string {
    return standsOf(this.file, (op_id) => this.world.name(op_id))
  }

  /** An op is called by this name, and was recorded here. Returns its id. */
  note(op_id: string, name: string, stream = "s", late = false): string {
    this.world.rename(op_id, name)
    this.file.note(op_id, stream, late)
    return op_id
  }

  #heard(event: OutboxEvent): void {
    this.world.heard(this, event)
    if (event.name === "fault") this.faults.push(event.cause)
    if (["twin", "server_reset", "removed", "blocked"].includes(event.name)) this.events.push(event.name)
  }

  #diesAt(name: string): boolean {
    this.crashPoints.push(name)
    if (!this.#killAt || (this.#killAt.name !== undefined && this.#killAt.name !== name)) return false
    return --this.#killAt.at <= 0
  }
}
