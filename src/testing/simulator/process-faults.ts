/** Faults of a process, of its outbox file, and of the machine under both. */
import type { Rule } from "./rule.ts"

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

export const processFaults = [
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
      if (sim.world.server.isSwapped) return
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
    says: "For up to a minute nothing more fits on the disk of the outbox, or a few writes more: it is full amid a transaction.",
    weight: 2,
    strike(sim, client, dice) {
      const { file } = client
      const ms = dice.ms(10, 60_000)
      file.isFull = true
      file.roomFor = dice.chance(0.5) ? dice.below(12) : 0
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
    strike(sim, { file }) {
      sim.watch.posts.unsure.add(file)
      file.nextCommit = "happens"
      return file.name
    },
  },
] as const satisfies Rule[]
