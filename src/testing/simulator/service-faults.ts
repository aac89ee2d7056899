/** Faults of the service, and what the owner of a share does to those who write to it. */
import type { Rule } from "./rule.ts"
import type { Simulation } from "./simulation.ts"

/** Now, or at the next point of this name; it is back some time after. */
function killService(sim: Simulation, point: string | undefined, back_ms: number): string {
  const { server } = sim.world
  server.died = () => sim.later(back_ms, () => server.killed && server.restart())
  if (point) server.killAt = point
  else if (!server.killed) server.kill()
  return `back after ${back_ms} ms`
}

export const serviceFaults = [
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
    name: "service busy once",
    says: "The service's database is locked for one to three transactions, the next ones or those after two more.",
    weight: 2,
    strike(sim, _client, dice) {
      const transactions = 1 + dice.below(3)
      const after = dice.below(3)
      sim.world.server.busyFor(transactions, after)
      return `for ${transactions} transactions${after > 0 ? ` after ${after}` : ""}`
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
    says: "Another service, empty or with a history of its own, answers at the address for up to two minutes.",
    weight: 1,
    async strike(sim, _client, dice) {
      const { server, files } = sim.world
      // Who was never answered by ours could not know that it is another.
      const isKnown = files.every((file) => sim.streams.every((stream) => file.row(stream)?.service_id))
      if (!isKnown || sim.backups.size > 0) return
      const ms = dice.ms(10, 120_000)
      const isEmpty = dice.chance(0.5)
      await server.swap(isEmpty)
      sim.later(ms, () => server.back())
      return `for ${ms} ms${isEmpty ? ", an empty one" : ""}`
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
    says: "The owner gives the share a new secret, and who holds the old one is blocked until he is told; or a host does.",
    weight: 1,
    async strike(sim, client, dice) {
      if (dice.chance(0.5)) return sim.rotates(client)
      const said = await sim.owner.rotate()
      // Else they are told when they are blocked; now the answer to a POST with the old one may be on its way.
      if (said !== "rotated" || !dice.chance(0.5) || !client.opened) return said
      sim.watch.posts.hurried.add(client.file)
      client.stream.unblock({ secret: sim.world.ref.secret })
      return `${said}, and ${client.name} is told`
    },
  },
  {
    name: "capability expired",
    says: "The outbox is given a capability that ends while it works; a person then gives it another one.",
    weight: 1,
    strike(sim, client, dice) {
      sim.watch.posts.hurried.add(client.file)
      return sim.owner.lend(client, dice.ms(100, 60_000))
    },
  },
  {
    name: "share removed elsewhere",
    says: "Somebody else who holds the secret removes the share.",
    weight: 0.4,
    strike: (sim) => sim.owner.remove(),
  },
] as const satisfies Rule[]
