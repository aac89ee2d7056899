/**
 * A random history of a world: records, lost and doubled and late POSTs, deaths between any two steps, restores, copies,
 * rollbacks and a removal; then the faults stop, and everything must drain with the invariants held. The same seed walks
 * the same way.
 */
import { SturdyError } from "../../src/intent/error.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { Killed, type Client } from "../../src/testing/world/client.ts"
import type { Fate } from "../../src/testing/world/network.ts"
import { openWorld, type World } from "../../src/testing/world/world.ts"

/** Faults that a walk may meet beyond those of every walk. */
export interface WalkFaults {
  restore?: boolean
  copy?: boolean
  rollback?: boolean
  remove?: boolean
  /** Dead letters are retried and given up, and the service takes by and by what it rejected. */
  decide?: boolean
}

const steps_per_walk = 40

const fates: Fate[] = [
  "deliver",
  "lose request",
  "lose response",
  "late",
  "twice",
  "hold",
  { cut: 0 },
  { cut: 1 },
  { cut: 2 },
  { cut: 3 },
  { status: 500 },
  { status: 500, served: true },
  { status: 404 },
  { status: 403, served: true },
]

/** Blocks that come of those, which people lift when what caused them is over. */
const ofGateways = new Set(["unsupported", "scope_denied", "too_large", "service_fault"])

const deaths = ["record", "freeze", "settle", "acquire lease", "cut batch"].flatMap((step) => [
  `${step}:before-commit`,
  `${step}:after-commit`,
])
deaths.push("flush:before-post", "flush:after-post")

/** Walks once. Throws with the seed and the steps taken if anything does not hold. */
export async function walk(seed: number, faults: WalkFaults): Promise<void> {
  const fraction = mulberry32(seed)
  const world = await openWorld({ creates: fraction() < 0.5, seed: seed * 1_000 })
  const walker = new Walker(world, fraction, faults)
  try {
    world.client()
    for (let step = 0; step < steps_per_walk; step++) await walker.step()
    await walker.end()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`seed ${seed}: ${why}\n${walker.taken.join("; ")}`, { cause })
  } finally {
    await world[Symbol.asyncDispose]()
  }
}

class Walker {
  readonly taken: string[] = []
  #recorded = 0
  #backup: { client: Client; file: ReturnType<Client["backup"]> } | undefined
  #serverBackup = false
  #rolledBack = false
  #removed = false
  /** The removal may be gone: with the file that was restored to before it, or with the service that was. */
  #forgotten = false

  constructor(
    readonly world: World,
    readonly fraction: () => number,
    readonly faults: WalkFaults,
  ) {}

  async step(): Promise<void> {
    const client = this.#pick(this.world.clients)
    try {
      if (client.killed) {
        this.taken.push(`reopen ${client.name}`)
        client.reopen()
      } else await this.#act(client)
    } catch (error) {
      if (!(error instanceof Killed)) throw error
      this.taken.push("died")
    }
    // Between a rollback and its discovery "applied here" may be ahead of the server: that is what the reset repairs.
    if (!this.#rolledBack) this.world.invariants.check()
  }

  /** The faults stop. After a rollback its discovery is due at the next contact, so there must be one. */
  async end(): Promise<void> {
    for (const client of this.world.clients) {
      client.spare()
      if (client.killed) client.reopen()
      this.#unblock(client)
      if (this.#rolledBack && client.row.time_removal === null) client.record(`${++this.#recorded}z`)
    }
    await this.world.healed()
    // What is late may have brought one more.
    for (const client of this.world.clients) this.#unblock(client)
    await this.world.healed()
    if (this.faults.decide) await this.#mend()
    const { effects } = this.world.server
    // A service that forgot a rejection may apply at last what was recorded again long since.
    const twice = this.#rolledBack ? [] : effects.filter((name, index) => effects.indexOf(name) !== index)
    if (twice.length) throw new Error(`applied for an op and for its retry, or for two retries: ${twice.join(" ")}`)
    const blocks = this.world.clients.map((client) => client.row.block)
    const wrong = blocks.filter((block) => block !== null && !(this.#removed && block === "share_removed"))
    if (wrong.length) throw new Error(`I10: blocked without a cause of that name: ${wrong}`)
    if (this.#removed && !this.#forgotten && this.world.server.share !== "removed")
      throw new Error(`the share was removed and is ${this.world.server.share}`)
  }

  async #act(client: Client): Promise<void> {
    const { world } = this
    const { net, server } = world
    if (this.fraction() < 0.05) return this.#gateway()
    if (this.fraction() < 0.03) return this.#unblock(client)
    if (this.faults.decide && this.fraction() < 0.2) return this.#decide(client)
    const dice = this.fraction()
    if (dice < 0.3) return this.#record(client)
    if (dice < 0.62) return this.#send(client)
    if (dice < 0.7) return this.#time("time passes", 40, 500)
    if (dice < 0.75) return this.#arrive()
    if (dice < 0.79 && net.held.length) return this.#say("release", () => net.release())
    if (dice < 0.83) return this.#say(`kill ${client.name}`, () => client.kill())
    if (dice < 0.87) return this.#doom(client)
    if (dice < 0.9) return this.#say("restart service", () => server.restart())
    if (dice < 0.94 && this.faults.restore) return this.#restore(client)
    if (dice < 0.955 && this.faults.copy && world.clients.length < 3) return this.#copy(client)
    if (dice < 0.97 && this.faults.rollback) return this.#rollback()
    if (dice < 0.98 && this.faults.remove && !this.#removed) {
      this.#removed = true
      return this.#say("remove", () => client.remove())
    }
  }

  #record(client: Client): void {
    if (client.row.time_removal !== null) return
    const name = `${++this.#recorded}`
    const more = {
      ...(this.fraction() < 0.4 && { key: this.#pick(["a", "b"]) }),
      ...(this.fraction() < 0.2 && client.recorded.length > 0 && { dependsOn: [this.#pick(client.recorded)] }),
      ...(this.fraction() < (this.faults.decide ? 0.4 : 0.15) && { poison: true }),
    }
    this.taken.push(`record ${name}@${client.name} ${JSON.stringify(more)}`)
    if (this.fraction() < 0.15) client.unit(`${name}u ${name}v`, more.poison ? { poison: true } : {})
    else client.record(name, more)
  }

  async #decide(client: Client): Promise<void> {
    const { server } = this.world
    if (this.fraction() < 0.2) {
      server.mended = !server.mended
      this.taken.push(server.mended ? "the service is mended" : "the service rejects again")
    }
    if (this.fraction() < 0.5) await this.#time(`time passes before ${client.name} decides`, 20, 500)
    if (client.killed) return
    const name = this.#pick(client.undecided())
    if (name === undefined) return
    // What is dead now, both will retry.
    if (this.faults.copy && this.world.clients.length < 3 && this.fraction() < 0.5) this.#copy(client)
    const decide = this.fraction() < 0.8 && client.row.time_removal === null ? "retry" : "discard"
    this.taken.push(`${decide} ${name}@${client.name}`)
    if (decide === "retry") this.#retry(client, name)
    else client.discard(name)
  }

  #retry(client: Client, name: string): void {
    try {
      client.retry(name)
    } catch (error) {
      if (!(error instanceof SturdyError) || error.code !== "dead_letter_dependent") throw error
      // Its dependency comes first, or never.
      if (error.message.includes("was given up")) client.discard(name)
    }
  }

  /** The service takes everything: each copy retries what is dead, until nothing is. */
  async #mend(): Promise<void> {
    const { world } = this
    world.server.mended = true
    const dead = () => world.clients.filter((client) => client.undecided().length > 0)
    for (let round = 0; dead().length > 0; round++) {
      if (round > 20) throw new Error(`stays dead: ${dead().map((client) => `${client.name}: ${client.stands}`)}`)
      for (const client of dead())
        for (const name of client.undecided()) if (client.undecided().includes(name)) this.#retry(client, name)
      await world.healed()
    }
  }

  async #send(client: Client): Promise<void> {
    const fate = this.#pick(fates)
    this.world.net.script(client.name, [fate])
    await this.#time(`next POST of ${client.name}: ${JSON.stringify(fate)}`, Math.floor(this.fraction() * 20), 50)
  }

  async #time(what: string, turns: number, turn_ms: number): Promise<void> {
    this.taken.push(what)
    for (let turn = 0; turn < turns; turn++) {
      await this.world.calm()
      this.world.clock.turn(turn_ms)
    }
    await this.world.calm()
  }

  async #arrive(): Promise<void> {
    const { net } = this.world
    if (!net.late.length) return
    const index = Math.floor(this.fraction() * net.late.length)
    await this.#say(`late POST ${index} arrives`, () => net.arrive(index, { keep: this.fraction() < 0.4 }))
  }

  #doom(client: Client): void {
    const death = this.#pick(deaths)
    this.taken.push(`${client.name} will die at ${death}`)
    client.killAt(death)
  }

  /** Takes now and then less than two ops, never less than one. */
  async #gateway(): Promise<void> {
    const { net } = this.world
    net.bytes_max = this.fraction() < 0.7 ? 1_100 + Math.floor(this.fraction() * 1_500) : Infinity
    await this.#say(`a gateway takes ${net.bytes_max} bytes`, () => {})
  }

  #unblock(client: Client): void {
    if (!ofGateways.has(client.row.block ?? "")) return
    this.taken.push(`unblock ${client.name}`)
    client.stream.unblock()
  }

  #restore(client: Client): void {
    if (!this.#backup || this.fraction() < 0.5) {
      this.taken.push(`backup ${client.name}`)
      this.#backup = { client, file: client.backup() }
      return
    }
    this.taken.push(`restore ${this.#backup.client.name}`)
    this.#backup.client.restore(this.#backup.file)
    this.#forgotten = true
  }

  #copy(client: Client): void {
    this.taken.push("copy")
    client.copy(`C${this.world.clients.length}`)
  }

  #rollback(): void {
    this.taken.push(this.#serverBackup ? "the service is rolled back" : "backup of the service")
    if (this.#serverBackup) this.world.server.rollback()
    else this.world.server.backup()
    this.#rolledBack ||= this.#serverBackup
    this.#forgotten ||= this.#serverBackup
    this.#serverBackup = true
  }

  async #say(what: string, act: () => unknown): Promise<void> {
    this.taken.push(what)
    await act()
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.fraction() * from.length)]!
  }
}
