/** Makes the faults of a plan happen. Both clients are killed at the same moments, so that they can be compared. */
import { type Fault, faultKinds, type Lane } from "./fault-plan.ts"
import type { FaultProxy } from "./fault-proxy.ts"
import type { HostedClient } from "./hosted-client.ts"
import type { Picture } from "./picture.ts"
import type { ServiceProcess } from "./service-process.ts"

export interface FaultTargets {
  service: ServiceProcess
  clients: HostedClient[]
  proxy: FaultProxy
  picture: Picture
}

/** A kill waits this long for a POST to hit. */
const post_wait_ms = 150

export class Faults {
  /** One fault per lane at a time: what is down cannot be killed again. */
  readonly #lanes: Record<Lane, Promise<void>> = {
    service: Promise.resolve(),
    client: Promise.resolve(),
    network: Promise.resolve(),
  }
  readonly #started_at = Date.now()

  /** `slower`: holds last so many times what the plan says. */
  constructor(
    readonly targets: FaultTargets,
    readonly slower: number,
  ) {}

  begin(fault: Fault): void {
    const { lane } = faultKinds[fault.kind]
    this.#lanes[lane] = this.#lanes[lane].then(() => this.#happen(fault, lane))
    // Not to be reported twice: `over` tells.
    this.#lanes[lane].catch(() => {})
  }

  /** Everything is up again. */
  async over(): Promise<void> {
    await Promise.all(Object.values(this.#lanes))
    await this.targets.proxy.calm()
  }

  async #happen(fault: Fault, lane: Lane): Promise<void> {
    const { proxy, picture } = this.targets
    if (lane !== "network") {
      await proxy.nextPost(post_wait_ms)
      await Bun.sleep(fault.into_post_ms)
    }
    picture.fault(fault, Date.now() - this.#started_at)
    if (lane === "network" && fault.kind !== "refused") return proxy.arm(fault)
    picture.down(lane, true)
    await this.#downAndUp(fault, Bun.sleep(fault.hold_ms * this.slower))
    picture.down(lane, false)
  }

  async #downAndUp(fault: Fault, hold: Promise<void>): Promise<void> {
    const { service, clients, proxy } = this.targets
    if (fault.kind === "client_killed") {
      await Promise.all(clients.map((client) => client.kill()))
      return clients.forEach((client) => client.start())
    }
    if (fault.kind === "service_killed") {
      await service.kill()
      await hold
      return service.start()
    }
    proxy.refuse()
    await hold
    await proxy.listen()
  }
}
