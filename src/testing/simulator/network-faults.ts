/** Faults between a process and the service. */
import type { Client } from "../world/client.ts"
import type { Fate } from "../world/fate.ts"
import type { Rule } from "./rule.ts"
import type { Simulation } from "./simulation.ts"

/** The next POST of the process meets it. */
function next(sim: Simulation, client: Client, fate: Fate, what = ""): string {
  sim.world.net.script(client.name, [fate])
  return `next POST of ${client.name}${what}`
}

export const networkFaults = [
  {
    name: "request lost",
    says: "The connection breaks before the service has the request.",
    weight: 4,
    strike: (sim, client) => next(sim, client, "lose request"),
  },
  {
    name: "answer lost",
    says: "The service decides, and the connection breaks before the answer.",
    weight: 5,
    strike: (sim, client) => next(sim, client, "lose response"),
  },
  {
    name: "request late",
    says: "A request arrives up to ten minutes late, past newer ones, whether its sender waits or not.",
    weight: 5,
    strike(sim, client, dice) {
      const late_ms = dice.ms(100, 600_000)
      return next(sim, client, { late_ms }, ` ${late_ms} ms`)
    },
  },
  {
    name: "request doubled",
    says: "The service gets a request twice, the second one at once or minutes later.",
    weight: 4,
    strike(sim, client, dice) {
      if (dice.chance(0.5)) return next(sim, client, "twice")
      const doubled_ms = dice.ms(100, 300_000)
      return next(sim, client, { late_ms: 1, doubled_ms }, ` again after ${doubled_ms} ms`)
    },
  },
  {
    name: "connection cut",
    says: "The service has read so many calls of a POST when it or the connection dies.",
    weight: 4,
    strike: (sim, client, dice) => next(sim, client, { cut: dice.below(4) }),
  },
  {
    name: "answer slow",
    says: "An answer takes up to two minutes: past the deadline, past the lease.",
    weight: 3,
    strike(sim, client, dice) {
      const slow_ms = dice.ms(100, 120_000)
      return next(sim, client, { slow_ms }, ` ${slow_ms} ms`)
    },
  },
  {
    name: "answer damaged",
    says: "Half of an answer arrives, as if it were whole.",
    weight: 2,
    strike: (sim, client) => next(sim, client, "half an answer"),
  },
  {
    name: "gateway status",
    says: "A gateway answers with a status of its own, before or after the service had the request.",
    weight: 3,
    strike(sim, client, dice) {
      const status = dice.pick([400, 403, 404, 409, 413, 500, 502, 503, 504])
      return next(sim, client, { status, served: dice.chance(0.4) }, ` ${status}`)
    },
  },
  {
    name: "retry after",
    says: "A gateway answers 429 or 503, and says when to come back.",
    weight: 2,
    strike(sim, client, dice) {
      const retry_after = dice.below(40)
      return next(sim, client, { status: dice.pick([429, 503]), retry_after }, ` in ${retry_after} s`)
    },
  },
  {
    name: "portal",
    says: "A captive portal answers: a page, or a redirect to one.",
    weight: 2,
    strike: (sim, client, dice) => next(sim, client, dice.pick(["html", "redirect"])),
  },
  {
    name: "offline",
    says: "For up to five minutes no connection comes about.",
    weight: 3,
    strike(sim, client, dice) {
      const ms = dice.ms(100, 300_000)
      sim.offline.set(client, sim.world.clock.monotonic() + ms)
      return `${client.name} for ${ms} ms`
    },
  },
  {
    name: "gateway limit",
    says: "A gateway takes no request beyond so many bytes; now and then less than two ops, never less than one.",
    weight: 2,
    strike(sim, _client, dice) {
      const { net } = sim.world
      net.bytes_max = dice.chance(0.7) ? 1_200 + dice.below(1_500) : Infinity
      return `${net.bytes_max} bytes`
    },
  },
] as const satisfies Rule[]
