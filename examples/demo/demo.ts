/**
 * The run: plays the recording to both clients, makes everything fail meanwhile, lets it settle, and compares.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readAppliedLog } from "./applied.ts"
import { compare, lostItems } from "./compare.ts"
import { type Fault, faultKinds, faultPlan } from "./fault-plan.ts"
import { FaultProxy } from "./fault-proxy.ts"
import { Faults } from "./faults.ts"
import { HostedClient } from "./hosted-client.ts"
import type { Picture } from "./picture.ts"
import { type PlayedEvent, readFinal, readPlayed } from "./recording.ts"
import type { DemoOptions, DemoResult } from "./result.ts"
import { ServiceProcess } from "./service-process.ts"
import { createShares } from "./shares.ts"

/** Short, so that the demo is: the defaults of the outbox are 500 ms and 60 s. */
export const retry_ms = { min: 50, max: 500 }
/** The built-in share client waits 1 s. Played faster, the same share of the session waits. */
export const window_ms = (speed: number) => Math.round(1000 / speed)

const tick_ms = 5
/** The holds of the plan are made for this speed. */
export const default_speed = 4

export class Demo {
  readonly #dir = mkdtempSync(join(tmpdir(), "sturdy-demo-"))
  readonly outbox = join(this.#dir, "outbox.db")
  readonly #service = new ServiceProcess(join(this.#dir, "share.db"))
  readonly plan: Fault[]
  #proxy: FaultProxy | undefined
  #clients: HostedClient[] = []
  #seconds = 0

  constructor(
    readonly options: DemoOptions,
    readonly picture: Picture,
  ) {
    this.plan = faultPlan(options.seed)
  }

  async run(): Promise<DemoResult> {
    const { sabotage, speed } = this.options
    const [events, finals] = await Promise.all([readPlayed(), readFinal()])
    await this.#service.start()
    const proxy = new FaultProxy(this.#service.url)
    this.#proxy = proxy
    await proxy.listen()
    const shares = await createShares(
      this.#service.url,
      finals.map(({ info }) => info.id),
    )
    const client = [
      fileURLToPath(import.meta.resolve("./client.ts")),
      this.outbox,
      proxy.endpoint("sturdy"),
      `${retry_ms.min}`,
      `${retry_ms.max}`,
    ]
    const sturdy = new HostedClient(sabotage ? [...client, "--sabotage"] : client)
    const queue = [
      fileURLToPath(import.meta.resolve("./in-memory-queue.ts")),
      proxy.endpoint("memory"),
      `${window_ms(speed)}`,
    ]
    const memory = new HostedClient(queue, { shares })
    this.#clients = [sturdy, memory]
    this.#clients.forEach((each) => each.start())
    await Promise.race([this.#playAndSettle(events, proxy), sturdy.failed, memory.failed])

    const { url } = this.#service
    const { share_ids, lost: unapplied, pending, dead, ...applied } = await readAppliedLog(this.outbox, url)
    const shown = await compare(finals, url, (session_id) => share_ids.get(session_id))
    const shownByMemory = await compare(finals, url, (session_id) => shares[session_id]?.share_id)
    const opsLost = unapplied + pending + dead
    const lost = lostItems(shown) + opsLost
    const lostByMemory = lostItems(shownByMemory)
    return {
      ...this.options,
      ...applied,
      seconds: this.#seconds,
      events: events.length,
      faults: planned(this.plan),
      lost,
      doubled: applied.doubled + shown.doubled,
      sturdy: { ...figuresOf(sturdy), faultsMet: proxy.met.sturdy, lost, opsLost, shown },
      memory: {
        ...figuresOf(memory),
        faultsMet: proxy.met.memory,
        lost: lostByMemory,
        opsLost: 0,
        shown: shownByMemory,
      },
      outbox: this.outbox,
    }
  }

  /** Ends every process. The outbox stays, to be looked into, if `keep`. */
  async stop(keep: boolean): Promise<void> {
    this.#proxy?.refuse()
    await Promise.all([this.#service, ...this.#clients].map((each) => each.kill()))
    const files = keep ? ["", "-wal", "-shm"].map((end) => join(this.#dir, `share.db${end}`)) : [this.#dir]
    for (const file of files) rmSync(file, { recursive: true, force: true })
  }

  async #playAndSettle(events: PlayedEvent[], proxy: FaultProxy): Promise<void> {
    const started_at = Date.now()
    const targets = { service: this.#service, clients: this.#clients, proxy, picture: this.picture }
    const faults = new Faults(targets, default_speed / this.options.speed)
    await this.#play(events, faults)
    await faults.over()
    this.picture.progress(1, this.#clients[0]!.pending, "no more faults, settling")
    await Promise.all(this.#clients.map((client) => client.finish()))
    this.#seconds = (Date.now() - started_at) / 1000
  }

  async #play(events: PlayedEvent[], faults: Faults): Promise<void> {
    const { speed } = this.options
    const end_ms = events.at(-1)!.at_ms / speed
    const started_at = Date.now()
    const plan = [...this.plan]
    for (let fed = 0; fed < events.length; await Bun.sleep(tick_ms)) {
      const now_ms = Date.now() - started_at
      for (; fed < events.length && events[fed]!.at_ms <= now_ms * speed; fed++)
        for (const client of this.#clients) client.feed({ place: fed + 1, event: events[fed]!.event })
      while (plan[0] && plan[0].at * end_ms <= now_ms) faults.begin(plan.shift()!)
      this.picture.progress(now_ms / end_ms, this.#clients[0]!.pending, `event ${fed} of ${events.length}`)
    }
  }
}

/** How many of each sort the plan holds. */
export function planned(plan: Fault[]): DemoResult["faults"] {
  const network = plan.filter(({ kind }) => faultKinds[kind].lane === "network").length
  return { kills: plan.length - network, network }
}

function figuresOf({ posts, retries, repeated }: HostedClient) {
  return { posts, retries, repeated }
}
