/**
 * A small deterministic world: real outboxes on databases in memory, the real share service on another, and between them
 * a network in which the fate of every POST is decided. Time passes only when the clock is turned.
 */
import { drainMicrotasks } from "bun:jsc"
import type { Random } from "../../intent/seam.ts"
import type { OutboxEvent } from "../../inspect/event.ts"
import type { SturdyRef } from "../../store/stream.ts"
import { mulberry32 } from "../mulberry32.ts"
import type { GrantLimits } from "../../wire/contract.ts"
import { Client, type ClientOptions } from "./client.ts"
import { Invariants } from "./invariant.ts"
import { Network } from "./network.ts"
import { type Backup, OutboxFile } from "./outbox-file.ts"
import { Server } from "./server.ts"
import { WorldClock } from "./world-clock.ts"

interface WorldOptions {
  seed?: number
  /** The outbox creates the share in its first POST; else it is there. */
  creates?: boolean
  limits?: Partial<GrantLimits>
  /** Lines of the trace begin with the time, in seconds. */
  timed?: boolean
}

/** A body in a world of its own. After it the faults stop, everything drains, and the invariants must hold. */
export function inWorld(body: (world: World) => Promise<void>, options: WorldOptions = {}): () => Promise<void> {
  return async () => {
    await using world = await openWorld(options)
    await body(world)
    await world.healed()
  }
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const world = new World(options)
  if (!options.creates) await world.createShare()
  return world
}

export class World {
  readonly clock = new WorldClock()
  /** What the server answered and what the network did, in order. */
  readonly trace: string[] = []
  readonly creates: boolean
  readonly clients: Client[] = []
  readonly server: Server
  readonly net: Network
  readonly ref: SturdyRef
  readonly invariants: Invariants
  /** Each event of each living process. */
  heard: (client: Client, event: OutboxEvent) => void = () => {}
  /** How people call an op. */
  readonly #names = new Map<string, string>()
  /** Refs of the streams other than `s`, which each outbox has to itself. */
  readonly #refs = new Map<string, SturdyRef>()
  readonly #files = new Set<OutboxFile>()
  #seeds: number
  readonly #timed: boolean
  /** Deaths of a client's process or of the service. */
  crashes = 0

  constructor(options: WorldOptions) {
    this.creates = options.creates ?? false
    this.#seeds = options.seed ?? 1
    this.#timed = options.timed ?? false
    this.server = new Server(this, options.limits)
    this.net = new Network(this, (body) => this.server.fetch(body))
    this.ref = this.freshRef()
    this.invariants = new Invariants(this)
  }

  freshRef(): SturdyRef {
    const random = this.random()
    const id = (bytes: number) => Buffer.from(random.bytes(bytes)).toString("base64url")
    return { service: "http://share.example/rpc/share", share_id: id(16), secret: id(32) }
  }

  random(): Random {
    return seededRandom(this.#seeds++)
  }

  /** A file that nothing has open: empty, or as the backup has it. */
  file(name: string, backup?: Backup, isNew = false): OutboxFile {
    const file = new OutboxFile(name, () => this.clock.monotonic(), backup, isNew)
    this.#files.add(file)
    return file
  }

  get files(): readonly OutboxFile[] {
    return [...this.#files]
  }

  /** The share of a stream other than `s`. */
  refOf(stream: string): SturdyRef {
    if (stream === "s") return this.ref
    const known = this.#refs.get(stream) ?? this.freshRef()
    this.#refs.set(stream, known)
    return known
  }

  async createShare(ref = this.ref): Promise<void> {
    const { share_id, secret } = ref
    await this.server.call((service) => service.createShare({ share_id, secret, session_id: "ses_1" }))
  }

  client(name = "A", ref = this.ref, options: ClientOptions = {}): Client {
    return this.join(name, this.file(name), ref, options)
  }

  /** A client that is not started yet; its processes die as told. */
  mortal(deaths: number[], name = "A", ref = this.ref, options: ClientOptions = {}, file = this.file(name)): Client {
    const client = new Client(this, name, file, ref, options, deaths)
    this.clients.push(client)
    return client
  }

  /** Another process, on a file that is there. */
  join(name: string, file: OutboxFile, ref: SturdyRef, options: ClientOptions = {}): Client {
    const client = this.mortal([], name, ref, options, file)
    client.reopen()
    return client
  }

  say(line: string): void {
    this.trace.push(this.#timed ? `${(this.clock.monotonic() / 1_000).toFixed(3)} ${line}` : line)
  }

  /** Secrets of capabilities that an owner gave away. */
  readonly lent: string[] = []

  /** Of all shares, as they are now, and what was made of them. */
  get secrets(): string[] {
    return [...this.refs.map(({ secret }) => secret), ...this.lent]
  }

  get refs(): readonly SturdyRef[] {
    return [this.ref, ...this.#refs.values()]
  }

  name(op_id: string): string {
    return this.#names.get(op_id) ?? op_id
  }

  /** The op that was called so last. */
  idOf(name: string): string | undefined {
    return [...this.#names].findLast(([, called]) => called === name)?.[0]
  }

  rename(op_id: string, name: string): void {
    this.#names.set(op_id, name)
  }

  /** Lets everything happen that needs no time: in a world nothing waits for anything but time. */
  async calm(): Promise<void> {
    const { posts } = this.net
    do {
      drainMicrotasks()
      if (this.net.posts - posts > 1_000) throw new Error(`I11: POSTs without end\n${this.trace.slice(-9).join("\n")}`)
    } while (this.clock.runSoon())
  }

  /** Turns the clock, from one timer to the next, until it is so. */
  async until(what: string, done: () => boolean, limit_ms = 600_000): Promise<void> {
    const end = this.clock.monotonic() + limit_ms
    for (;;) {
      await this.calm()
      if (done()) return
      const next = this.clock.nextAt
      if (next === undefined || next > end)
        throw new Error(`did not happen within ${limit_ms} ms: ${what}\n${this.trace.join("\n")}`)
      this.clock.turnTo(next)
    }
  }

  /** Lets time pass, and what falls due happen at its time. */
  async passes(ms: number): Promise<void> {
    let passed = false
    this.clock.timer(ms, () => (passed = true))
    await this.until(`${ms} ms`, () => passed)
  }

  async run<T>(what: string, promise: Promise<T>): Promise<T> {
    let ended = false
    const end = () => {
      ended = true
    }
    promise.then(end, end)
    await this.until(what, () => ended)
    return promise
  }

  /**
   * Faults stop: what is late arrives, every outbox drains, and the invariants must hold. Says where everything stands:
   * the effects at the server, and per client its ops by state.
   */
  async healed(): Promise<Record<string, string>> {
    this.net.heal()
    await this.net.everythingArrives()
    // Who comes second finds the register moved; a reset or a removal of one may be news for another.
    for (let round = 0; round < 2; round++) for (const client of this.live) await client.drained()
    await this.calm()
    this.invariants.check("healed")
    return this.stands
  }

  get live(): Client[] {
    return this.clients.filter((client) => client.opened)
  }

  get stands(): Record<string, string> {
    return {
      server: this.server.effects.join(" "),
      ...Object.fromEntries(this.live.map((client) => [client.name, client.stands])),
    }
  }

  /** Nobody looks at it any more: its processes are killed, what they used goes to the next world. */
  abandon(): void {
    for (const client of this.clients) client.end()
    this.server.close()
    for (const file of this.#files) file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.net.heal()
    for (const file of this.#files) file.heal()
    for (const client of this.live) await this.run("close", client.close())
    this.server.close()
    for (const file of this.#files) file.close()
    const faults = this.clients.flatMap((client) => client.faults)
    if (faults.length > 0)
      throw new Error(`${faults.length} faults were told, the first one is the cause`, { cause: faults[0] })
  }
}

/** Uniform over the upper half of [0, 1), so that every backoff takes some time. */
export function seededRandom(seed: number): Random {
  const next = mulberry32(seed * 0x9e3779b9)
  return {
    fraction: () => 0.5 + next() / 2,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  }
}
