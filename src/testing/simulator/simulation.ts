/** One seed's world in motion: its steps, the time between them, and how faults stop. What must hold then: ending.ts. */
import * as limit from "../../intent/limit.ts"
import type { RecordInput } from "../../record-input.ts"
import type { Client } from "../world/client.ts"
import { Killed } from "../world/life.ts"
import type { Backup, OutboxFile } from "../world/outbox-file.ts"
import { World } from "../world/world.ts"
import { Dice } from "./dice.ts"
import { faults } from "./faults.ts"
import { Host, isExpected } from "./host.ts"
import { Owner } from "./owner.ts"
import type { Plan, Step } from "./plan.ts"
import type { Rule } from "./rule.ts"
import { Watch } from "./watch.ts"
import { work } from "./work.ts"

const rules: ReadonlyMap<string, Rule> = new Map([...work, ...faults].map((rule): [string, Rule] => [rule.name, rule]))

export class Simulation {
  readonly world: World
  readonly owner: Owner
  readonly watch: Watch
  readonly backups = new Map<OutboxFile, Backup>()
  /** Until when no connection comes about, by the monotonic clock. */
  readonly offline = new Map<Client, number>()
  /** A restore or a rollback may have undone a removal. */
  forgotten = false
  /** Of the app's payload, as the clients record it. */
  clientVersion = 1
  /** So many ops were named. */
  names = 0
  readonly #hosts = new Map<Client, Host>()
  readonly #closing = new Set<Client>()

  constructor(readonly plan: Plan) {
    const { knobs, seed } = plan
    this.world = new World({ creates: knobs.creates, seed, timed: true })
    this.world.invariants.comparesView = seed % 4 === 0
    this.world.invariants.readsFiles = seed % 8 === 1
    this.owner = new Owner(this.world)
    this.watch = new Watch(this)
    const { net, clock } = this.world
    const dice = new Dice(seed)
    const way = () => (knobs.travel_ms === 0 ? 0 : dice.below(knobs.travel_ms))
    net.travel = () => ({ request_ms: way(), response_ms: way() })
    net.weather = (client) => (clock.monotonic() < (this.offline.get(client) ?? 0) ? "refuse" : "deliver")
  }

  async start(): Promise<void> {
    const { world, plan } = this
    const { creates, processes } = plan.knobs
    if (!creates) for (const stream of this.streams) await world.createShare(world.refOf(stream))
    const first = world.client("A", world.ref, this.#options)
    for (let n = 1; n < processes; n++) world.join(`A${n + 1}`, first.file, world.ref, this.#options)
  }

  /** `s`, and perhaps another one. */
  get streams(): string[] {
    return this.plan.knobs.streams === 1 ? ["s"] : ["s", "t"]
  }

  host(client: Client): Host {
    const known = this.#hosts.get(client) ?? new Host(client)
    this.#hosts.set(client, known)
    return known
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values()
  }

  nextName(): string {
    return `${++this.names}`
  }

  later(ms: number, act: () => unknown): void {
    this.world.clock.timer(ms, () => void act())
  }

  async step({ after_ms, does, seed }: Step): Promise<void> {
    await this.pass(after_ms)
    const dice = new Dice(seed)
    const rule = rules.get(does)
    if (!rule) throw new TypeError(`a plan names the step ${does}: there is none of that name`)
    const client = dice.pick(this.world.clients)
    if (client.stopped || this.isClosing(client)) return
    try {
      if (client.killed) return this.#restart(client)
      const did = await rule.strike(this, client, dice)
      if (did === undefined) return
      this.watch.count(`did ${rule.name}`)
      this.world.say(`${client.name} ${rule.name} ${did}`)
    } catch (error) {
      if (error instanceof Killed) this.world.say(`${client.name} died at ${error.message} of ${rule.name}`)
      else if (isExpected(error)) this.world.say(`${client.name} ${rule.name}: ${error.code}`)
      else throw error
    }
    this.watch.check()
  }

  /** Time passes, from one event to the next; after each the invariants hold. */
  async pass(ms: number): Promise<void> {
    const { world, watch } = this
    const { clock } = world
    const end = clock.monotonic() + ms
    for (;;) {
      await world.calm()
      watch.check()
      const next = clock.nextAt
      if (next === undefined || next > end) break
      clock.turnTo(next)
    }
    clock.turnTo(Math.max(end, clock.monotonic()))
  }

  /** A host that ends in order; it is started again like one that was killed. */
  async closing(client: Client, flush_ms: number): Promise<void> {
    const { lives } = client
    this.#closing.add(client)
    try {
      await client.outbox.close({ flush_ms })
    } catch (error) {
      if (!(error instanceof Killed) && !isExpected(error)) throw error
    } finally {
      if (client.lives === lives) {
        this.#closing.delete(client)
        client.end()
      }
    }
  }

  /** A close that its process did not live to see ends never. */
  isClosing(client: Client): boolean {
    return this.#closing.has(client) && !client.killed
  }

  /** True if a block was lifted, with what a person knows by then. */
  unblock(client: Client, stream: string): boolean {
    const { block = null } = client.file.row(stream) ?? {}
    if (block === null || block === "share_removed" || block === "server_reset") return false
    const lost = block === "revoked" || block === "expired" || block === "share_unknown"
    return client.streamOf(stream).unblock(lost ? { secret: this.#secretOf(stream) } : {})
  }

  /** A share that an outbox has created again has the secret that this one holds, be it one that was lent to it. */
  #secretOf(stream: string): string {
    const { server } = this.world
    const { share_id, secret } = this.world.refOf(stream)
    return this.world.secrets.find((known) => server.isRoot(share_id, known)) ?? secret
  }

  get #options() {
    const { lingerMs, retryDelayMsMin, retryDelayMsMax, leaseMs, resync } = this.plan.knobs
    return { lingerMs, retryDelayMsMin, retryDelayMsMax, leaseMs, ...(resync && { resync: this.#resync }) }
  }

  /** What a host records when it is told that the service lost data, or that a twin wrote. */
  readonly #resync = (stream: { record(input: RecordInput): unknown }, reason: string) => {
    this.world.say(`resync for ${reason}`)
    try {
      stream.record({ method: "put", args: [`${this.nextName()}r`], key: "a" })
    } catch (error) {
      if (!(error instanceof Killed) && !isExpected(error)) throw error
    }
  }

  #restart(client: Client): void {
    this.#closing.delete(client)
    try {
      this.watch.starting(client.file, () => client.reopen())
      const told = this.host(client).catchUp()
      this.world.say(`${client.name} starts${told ? `, and tells ${told} again` : ""}`)
    } catch (error) {
      // The disk is full, or somebody holds the lock: it tries again later.
      client.kill()
      if (!(error instanceof Killed) && !isExpected(error)) throw error
      this.world.say(`${client.name} cannot start`)
    }
  }

  /** No fault begins any more, those that last end, and people lift what they alone can lift. */
  async heal(): Promise<void> {
    const { world } = this
    const { server, net } = world
    world.say("faults end")
    net.heal()
    this.offline.clear()
    server.heal()
    for (const file of world.files) file.heal()
    for (const client of world.clients) {
      client.go()
      client.spare()
    }
    while (world.clients.some((client) => this.isClosing(client))) await this.pass(limit.close_flush_ms)
    for (const client of world.clients) if (client.killed) this.#restart(client)
  }
}
