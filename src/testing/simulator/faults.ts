/** Every fault that the simulator knows, with what it does. The README lists them from here. */
import type { Client } from "../world/client.ts"
import type { Fate } from "../world/fate.ts"
import type { Rule } from "./rule.ts"
import type { Simulation } from "./simulation.ts"

/** The next POST of the process meets it. */
function next(sim: Simulation, client: Client, fate: Fate, what = ""): string {
  sim.world.net.script(client.name, [fate])
  return `next POST of ${client.name}${what}`
}

/** Now, or at the next point of this name; it is back some time after. */
function killService(sim: Simulation, point: string | undefined, back_ms: number): string {
  const { server } = sim.world
  server.died = () => sim.later(back_ms, () => server.killed && server.restart())
  if (point) server.killAt = point
  else if (!server.killed) server.kill()
  return `back after ${back_ms} ms`
}

const deaths = [
  "record",
  "freeze",
  "settle",
  "acquire lease",
  "renew lease",
  "release lease",
  "cut batch",
  "open stream",
  "record removal",
  "retry",
  "unblock",
].flatMap((step) => [`${step}:before-commit`, `${step}:after-commit`])
deaths.push("flush:before-post", "flush:after-post")

const rules = [
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
  {
    name: "service killed before commit",
    says: "The service dies in the transaction of a batch, and is back within twenty seconds.",
    weight: 2.5,
    strike: (sim, _client, dice) => killService(sim, "service: before commit", dice.ms(1, 20_000)),
  },
  {
    name: "service killed after commit",
    says: "The service dies between a batch's commit and its answer.",
    weight: 2.5,
    strike: (sim, _client, dice) => killService(sim, "service: after commit", dice.ms(1, 20_000)),
  },
  {
    name: "service down",
    says: "The service is killed between two requests, and is back within a minute.",
    weight: 2,
    strike: (sim, _client, dice) => killService(sim, undefined, dice.ms(1, 60_000)),
  },
  {
    name: "service busy",
    says: "Another program holds the write lock of the service's database.",
    weight: 2,
    strike(sim, _client, dice) {
      const { server } = sim.world
      const ms = dice.ms(10, 20_000)
      server.isBusy = true
      sim.later(ms, () => (server.isBusy = false))
      return `for ${ms} ms`
    },
  },
  {
    name: "service rolled back",
    says: "The service's database is restored from a backup: what was decided since is forgotten.",
    weight: 2.5,
    strike(sim) {
      const { server } = sim.world
      if (!server.hasBackup || server.isSwapped) {
        server.backup()
        return "backup"
      }
      sim.forgotten = true
      server.rollback()
      return "restored"
    },
  },
  {
    name: "service swapped",
    says: "Another service, with a history of its own, answers at the address for up to two minutes.",
    weight: 1,
    strike(sim, _client, dice) {
      const { server, creates } = sim.world
      // A share that is yet to be created would be created there, and be another one.
      if (creates) return
      const ms = dice.ms(10, 120_000)
      server.swap()
      sim.later(ms, () => server.back())
      return `for ${ms} ms`
    },
  },
  {
    name: "app bug",
    says: "The service's own methods fail unexpectedly, up to eight times: the whole batch is rolled back.",
    weight: 1.5,
    strike(sim, _client, dice) {
      sim.world.server.app.bugs = 1 + dice.below(8)
      return `${sim.world.server.app.bugs} times`
    },
  },
  {
    name: "epoch raised",
    says: "The owner ends all grants and all capabilities but his own.",
    weight: 1.5,
    strike: (sim) => sim.owner.raiseEpoch(),
  },
  {
    name: "secret rotated",
    says: "The owner gives the share a new secret; who holds the old one is blocked until he is told the new one.",
    weight: 1,
    strike: (sim) => sim.owner.rotate(),
  },
  {
    name: "capability expired",
    says: "The outbox is given a capability that ends while it works; a person then gives it another one.",
    weight: 1,
    strike: (sim, client, dice) => sim.owner.lend(client, dice.ms(100, 60_000)),
  },
  {
    name: "share removed elsewhere",
    says: "Somebody else who holds the secret removes the share.",
    weight: 0.4,
    strike: (sim) => sim.owner.remove(),
  },
  {
    name: "process killed",
    says: "A process is killed between two steps.",
    weight: 5,
    strike(_sim, client) {
      client.kill()
      return client.name
    },
  },
  {
    name: "process killed at a point",
    says: "A process is killed at the next crash point of a name: before or after a commit, before or after a POST.",
    weight: 7,
    strike(_sim, client, dice) {
      const point = dice.pick(deaths)
      client.killAt(point)
      return `${client.name} at ${point}`
    },
  },
  {
    name: "process stopped",
    says: "A process stops for up to a minute (SIGSTOP, a suspended laptop) and goes on as if nothing had happened.",
    weight: 3,
    strike(sim, client, dice) {
      const ms = dice.ms(100, 60_000)
      client.stop()
      sim.later(ms, () => client.go())
      return `${client.name} for ${ms} ms`
    },
  },
  {
    name: "outbox restored",
    says: "The outbox file is replaced by a backup of it.",
    weight: 2.5,
    strike(sim, client) {
      const backup = sim.backups.get(client.file)
      if (!backup) {
        sim.backups.set(client.file, client.backup())
        return `backup of ${client.name}`
      }
      sim.forgotten = true
      client.restore(backup)
      return client.name
    },
  },
  {
    name: "outbox copied",
    says: "Another machine goes on with a copy of the outbox file.",
    weight: 1.5,
    strike(sim, client) {
      if (sim.world.files.length > 2) return
      return `${client.name} to ${client.copy(`C${sim.world.files.length}`).name}`
    },
  },
  {
    name: "clock jumped",
    says: "The wall clock of a machine jumps by up to ten days, forth or back.",
    weight: 2,
    strike(_sim, client, dice) {
      const ms = dice.ms(100, 10 * 86_400_000) * (dice.chance(0.5) ? 1 : -1)
      client.skew_ms += ms
      return `${client.name} by ${ms} ms`
    },
  },
  {
    name: "disk full",
    says: "For up to a minute nothing more fits on the disk of the outbox.",
    weight: 2,
    strike(sim, client, dice) {
      const { file } = client
      const ms = dice.ms(10, 60_000)
      file.isFull = true
      sim.later(ms, () => (file.isFull = false))
      return `of ${file.name} for ${ms} ms`
    },
  },
  {
    name: "lock held",
    says: "Another program holds the write lock of the outbox file for up to ten seconds.",
    weight: 2,
    strike(sim, client, dice) {
      const ms = dice.ms(1, 10_000)
      client.file.locked_until = sim.world.clock.monotonic() + ms
      return `of ${client.file.name} for ${ms} ms`
    },
  },
  {
    name: "commit failed",
    says: "A commit of the outbox fails, and nothing was written.",
    weight: 2,
    strike: (_sim, client) => ((client.file.nextCommit = "fails"), client.file.name),
  },
  {
    name: "commit unknown",
    says: "A commit of the outbox fails, and everything was written all the same.",
    weight: 2,
    strike: (_sim, client) => ((client.file.nextCommit = "happens"), client.file.name),
  },
] as const satisfies Rule[]

export type FaultName = (typeof rules)[number]["name"]

export const faults: readonly Rule<FaultName>[] = rules
