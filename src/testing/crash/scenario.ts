/** Lives of a process, each step of which a crash is tried in. What becomes of every op does not depend on crashes. */
import { SturdyError } from "../../intent/error.ts"
import type { Client } from "../world/client.ts"
import type { World } from "../world/world.ts"

export interface Stage {
  world: World
  /** Whose processes die. */
  client: Client
  /** Safe to do again: who died while he recorded does not know whether he did. */
  record(name: string, more?: Parameters<Client["record"]>[1]): () => void
  unit(names: string): () => void
}

export interface CrashScenario {
  name: string
  /** One sentence. */
  says: string
  /** The file has no tables yet. */
  isNew?: boolean
  /** The share is there before. */
  isCreated?: boolean
  /** Done one after the other; what a process died in, the next one does again. */
  acts(stage: Stage): (() => unknown)[]
}

export const crashScenarios: readonly CrashScenario[] = [
  {
    name: "open",
    says: "A new file gets its tables and a stream, and an op is recorded.",
    isNew: true,
    acts: ({ client, record }) => [record("1"), () => client.drained()],
  },
  {
    name: "record",
    says: "Ops with keys, dependencies and units are recorded; one replaces another.",
    acts: ({ client, record, unit }) => [
      record("1", { key: "k" }),
      record("2", { key: "k" }),
      record("3", { dependsOnKeys: ["k"] }),
      unit("4 5"),
      () => client.drained(),
    ],
  },
  {
    name: "freeze",
    says: "Batches are sealed and frozen behind one that the network keeps losing.",
    acts: ({ client, record }) => [
      record("1"),
      () => client.posts("lose request"),
      record("2"),
      () => client.posts("lose request"),
      record("3"),
      () => client.drained(),
    ],
  },
  {
    name: "flush",
    says: "The share is created, redeemed and written to; the first answer is lost.",
    acts: ({ client, record }) => [
      record("1"),
      record("2"),
      () => client.posts("lose response"),
      () => client.drained(),
    ],
  },
  {
    name: "settle",
    says: "Some ops of a batch are applied, one is rejected, and one that depends on it too.",
    acts: ({ client, record }) => [
      record("1"),
      record("2", { poison: true, key: "two", onlyIfChanged: true }),
      record("3", { dependsOnKeys: ["two"] }),
      record("4"),
      () => client.drained(),
    ],
  },
  {
    name: "take over",
    says: "The holder of the lease dies, and another process on the file sends what it left.",
    acts({ client, world, record }) {
      const other = () => world.clients.find(({ name }) => name === "B") ?? client.sibling("B")
      return [record("1"), () => void other(), () => other().drained(), record("2"), () => other().drained()]
    },
  },
  {
    name: "server reset",
    says: "The service is rolled back to before what it acknowledged, and is told everything again.",
    isCreated: true,
    acts({ client, world, record }) {
      const { server } = world
      return [
        () => server.hasBackup || server.backup(),
        record("1"),
        () => client.drained(),
        () => server.rollbacks > 0 || server.rollback(),
        record("2"),
        () => client.drained(),
      ]
    },
  },
  {
    name: "prune",
    says: "A batch beyond what is retained is pruned.",
    isCreated: true,
    acts({ client, world, record, unit }) {
      const batch = (number: number) => unit(Array.from({ length: 100 }, (_, op) => `${number}-${op}`).join(" "))
      return [
        ...Array.from({ length: 12 }, (_, number) => batch(number)),
        () => client.drained(),
        () => world.clock.jump(8 * 24 * 3_600_000),
        record("later"),
        () => client.drained(),
      ]
    },
  },
  {
    name: "removal",
    says: "The share is removed while ops are pending.",
    acts: ({ client, record }) => [
      record("1"),
      () => client.drained(),
      record("2"),
      () => client.remove(),
      () => client.drained(),
    ],
  },
  {
    name: "retry",
    says: "A dead letter and its dependent are retried at a service that was mended.",
    isCreated: true,
    acts({ client, world, record }) {
      return [
        record("1", { poison: true, key: "one", onlyIfChanged: true }),
        record("2", { dependsOnKeys: ["one"] }),
        () => client.drained(),
        () => (world.server.app.mended = true),
        () => (client.undecided().includes("1") ? client.retry("1") : client.learnRetries()),
        () => client.drained(),
      ]
    },
  },
  {
    name: "unblock",
    says: "The secret is rotated, the stream blocks, and a person gives it the new one.",
    isCreated: true,
    acts({ client, world, record }) {
      const secret = "a_secret_that_the_owner_has_chosen_anew_43_"
      return [
        record("1"),
        () => client.drained(),
        () => world.server.asOwner((share) => share.rotateSecret({ secret })).then(() => (world.ref.secret = secret)),
        record("2"),
        () => client.drained(),
        () => client.row.block !== null && client.stream.unblock({ secret }),
        () => client.drained(),
      ]
    },
  },
  {
    name: "rotate",
    says: "The outbox gives the share another secret, and again when the first answer is lost.",
    acts({ client, world, record }) {
      return [
        record("1"),
        () => client.drained(),
        () => rotate(client),
        record("2"),
        () => client.drained(),
        () => world.net.script(client.name, ["lose response"]),
        () => rotate(client, true),
        record("3"),
        () => client.drained(),
        () => rotate(client),
        record("4"),
        () => client.drained(),
      ]
    },
  },
]

/** The share gets another secret: asked for until the service has said so, or once. */
async function rotate(client: Client, once = false): Promise<void> {
  const { world } = client
  while (!client.killed) {
    let answered = false
    const rotation = client.stream.rotate().then(() => true, whetherUnfinished)
    rotation.catch(() => {}).finally(() => (answered = true))
    await world.until(`rotation by ${client.name}`, () => answered || client.killed)
    if (client.killed || (await rotation) || once) return
    await world.passes(1_000)
  }
}

function whetherUnfinished(error: unknown): false {
  if (error instanceof SturdyError && error.code === "rotation_unfinished") return false
  throw error
}
