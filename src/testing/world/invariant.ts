/** The invariants of ARCHITECTURE.md, looked up in the files of both ends. */
import type { Client } from "./client.ts"
import { statesIn } from "./op-state.ts"
import type { Server } from "./server.ts"

interface Observed {
  readonly server: Server
  readonly live: readonly Client[]
  readonly trace: readonly string[]
  name(op_id: string): string
}

export class Invariants {
  constructor(readonly world: Observed) {}

  /** `running`: those that hold at any time. `healed`: also those that hold once faults have stopped. */
  check(when: "running" | "healed" = "running"): void {
    const wrong = [...this.#once(), ...this.world.live.flatMap((client) => this.#client(client, when))]
    if (wrong.length > 0) throw new Error(`${wrong.join("\n")}\n--- trace\n${this.world.trace.join("\n")}`)
  }

  /** I2: the effect count of an op is at most 1. */
  #once(): string[] {
    const counts = Map.groupBy(this.world.server.effectIds, (op_id) => op_id)
    return [...counts].filter(([, found]) => found.length > 1).map(([op_id]) => `I2 ${this.world.name(op_id)} twice`)
  }

  #client(client: Client, when: "running" | "healed"): string[] {
    return [
      ...this.#states(client),
      ...this.#order(client),
      ...this.#truth(client, when),
      ...(when === "healed" ? this.#alive(client) : []),
    ]
  }

  /** I1: exactly one state for each op whose record returned. */
  #states(client: Client): string[] {
    const states = statesIn(client.file)
    const pruned = client.row.pruned_op_id !== null
    return client.recorded.flatMap((op_id) => {
      const found = states.get(op_id) ?? []
      return found.length === 1 || (pruned && found.length === 0)
        ? []
        : [`I1 ${this.world.name(op_id)} at ${client.name} is ${found.join(" and ") || "nowhere"}`]
    })
  }

  /**
   * I3: ops are applied in the order of recording, and only when every op before is decided or superseded. Those of a
   * retry that a copy made too were applied where that one had them.
   */
  #order(client: Client): string[] {
    const states = statesIn(client.file)
    const recorded = client.recorded.filter((op_id) => !client.hasTwin || !client.file.retried.has(op_id))
    const { effectIds, outcomes } = this.world.server
    const mine = effectIds.filter((op_id) => recorded.includes(op_id))
    const sorted = recorded.filter((op_id) => mine.includes(op_id))
    const order =
      mine.join() === sorted.join() ? [] : [`I3 order at the server: ${mine.map((id) => this.world.name(id))}`]
    if (this.world.server.share !== "live" || sorted.length === 0) return order
    const undecided = recorded
      .slice(0, recorded.indexOf(sorted.at(-1)!))
      .filter((op_id) => !outcomes.has(op_id) && states.get(op_id)?.[0] !== "superseded")
    return [...order, ...undecided.map((op_id) => `I3 ${this.world.name(op_id)} of ${client.name} was left out`)]
  }

  /** I4: applied here ⇔ applied there; dead here ⇒ never there; superseded here too, unless a twin had sent it. */
  #truth(client: Client, when: "running" | "healed"): string[] {
    const states = statesIn(client.file)
    const applied = new Set(this.world.server.effectIds)
    // Until it is told, an outbox believes what a server acknowledged that was then rolled back. Nobody tells it of ops
    // once its share is being removed.
    const told = when === "healed" && client.row.block === null && client.row.time_removal === null
    const trusts = this.world.server.rollbacks === 0 || told
    return client.recorded.flatMap((op_id) => {
      const state = states.get(op_id)?.[0]
      const name = `${this.world.name(op_id)} at ${client.name}`
      if (state === "applied" && !applied.has(op_id) && trusts) return [`I4 ${name} counts as applied and is not`]
      const never = state === "dead" || (state === "superseded" && !client.hasTwin)
      if (never && applied.has(op_id)) return [`I4 ${name} is ${state}, and applied`]
      return state === "pending" && applied.has(op_id) && when === "healed" && client.row.block === null
        ? [`I4 ${name} is applied and nobody knows`]
        : []
    })
  }

  /** I10: nothing waits, or a block says why. */
  #alive(client: Client): string[] {
    const { row, recorded } = client
    const states = statesIn(client.file)
    const waiting = recorded.filter((op_id) => states.get(op_id)?.[0] === "pending")
    const owed = row.time_removal !== null && row.time_closed === null
    return row.block === null && (waiting.length > 0 || owed) ? [`I10 ${client.name} stands without a block`] : []
  }
}
