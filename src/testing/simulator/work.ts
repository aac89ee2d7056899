/** What hosts do with an outbox: record in every way, decide dead letters, remove, upgrade, start again. */
import type { RecordInput } from "../../record-input.ts"
import type { Client } from "../world/client.ts"
import type { Dice } from "./dice.ts"
import type { Rule } from "./rule.ts"
import type { Simulation } from "./simulation.ts"

const rules = [
  {
    name: "record",
    says: "An op is recorded: with a key, a dependency, a reference, a captureId, a wish for its result, poison; or not.",
    weight: 30,
    strike(sim, client, dice) {
      const stream = openStream(sim, client, dice)
      if (stream === undefined) return
      const name = sim.nextName()
      const input = inputOf(sim, client, stream, name, dice)
      return `${wordsOf(sim, name, stream, input)}${sim.host(client).record(name, stream, input)}`
    },
  },
  {
    name: "record a unit",
    says: "Two or three ops are recorded as one unit.",
    weight: 5,
    strike(sim, client, dice) {
      const stream = openStream(sim, client, dice)
      if (stream === undefined) return
      const names = Array.from({ length: 2 + dice.below(2) }, () => sim.nextName()).join(" ")
      const poison = dice.chance(0.15)
      sim.watch.service.unit(sim.host(client).unit(names, { stream, ...(poison && { poison }) }))
      return `${names}${poison ? " poison" : ""}`
    },
  },
  {
    name: "record a burst",
    says: "More ops than a batch holds are recorded at once, some of them as units.",
    weight: 0.1,
    strike(sim, client, dice) {
      const stream = openStream(sim, client, dice)
      if (stream === undefined) return
      const names = Array.from({ length: 101 + dice.below(30) }, () => sim.nextName())
      for (let at = 0, length = 1; at < names.length; at += length) {
        length = 1 + dice.below(4)
        sim.watch.service.unit(sim.host(client).unit(names.slice(at, at + length).join(" "), { stream }))
      }
      return `${names[0]}..${names.at(-1)}`
    },
  },
  {
    name: "decide a dead letter",
    says: "A dead letter is retried or given up; now and then the service is mended, or broken again, before.",
    weight: 5,
    strike(sim, client, dice) {
      const stream = dice.pick(client.file.streams)
      const { app } = sim.world.server
      const dead = stream === undefined ? [] : client.undecided(stream)
      if (stream === undefined || dead.length === 0) return
      if (dice.chance(0.3)) app.mended = !app.mended
      const name = dice.pick(dead)
      const isRetry = dice.chance(0.8) && openStreams(client).includes(stream)
      return isRetry ? sim.host(client).retry(name, stream) : `given up ${client.discard(name, stream).join(" ")}`
    },
  },
  {
    name: "remove the share",
    says: "The host removes the share of a stream; what is pending is given up.",
    weight: 0.7,
    strike(_sim, client, dice) {
      const stream = dice.pick(openStreams(client))
      if (stream === undefined) return
      client.remove(stream)
      return stream
    },
  },
  {
    name: "upgrade the app",
    says: "Client or service goes to the next version of the app's payload, in either order.",
    weight: 1,
    strike(sim, _client, dice) {
      const { server } = sim.world
      if (dice.chance(0.5)) {
        sim.clientVersion = 2
        return "the client speaks version 2"
      }
      if (server.app.version === 2 || server.killed) return
      server.app.version = 2
      server.restart()
      return "the service knows version 2"
    },
  },
  {
    name: "pause",
    says: "The host pauses the outbox and resumes it later.",
    weight: 1,
    strike(sim, client, dice) {
      const { outbox } = client
      const ms = dice.ms(100, 30_000)
      outbox.pause()
      sim.later(ms, () => client.opened && client.outbox === outbox && !sim.isClosing(client) && outbox.resume())
      return `${ms} ms`
    },
  },
  {
    name: "close",
    says: "The host ends in order, with a last flush of at most some ms, and starts again.",
    weight: 1.5,
    strike(sim, client, dice) {
      const flush_ms = dice.pick([0, 100, 2_000])
      void sim.closing(client, flush_ms)
      return `flush at most ${flush_ms} ms`
    },
  },
  {
    name: "unblock",
    says: "A person lifts a block of a stream, with what he knows by then.",
    weight: 3,
    strike(sim, client, dice) {
      const blocked = client.file.streams.filter((stream) => client.file.row(stream)!.block !== null)
      const stream = dice.pick(blocked)
      return stream !== undefined && sim.unblock(client, stream) ? stream : undefined
    },
  },
] as const satisfies Rule[]

export type WorkName = (typeof rules)[number]["name"]

export const work: readonly Rule<WorkName>[] = rules

/** Streams of the file on which can be recorded. */
function openStreams(client: Client): string[] {
  return client.file.streams.filter((stream) => client.file.row(stream)!.time_removal === null)
}

/** One of the streams of this seed, unless its share was removed. */
function openStream(sim: Simulation, client: Client, dice: Dice): string | undefined {
  const stream = dice.pick(sim.streams)
  const row = client.file.row(stream)
  return row === null || row.time_removal === null ? stream : undefined
}

function inputOf(sim: Simulation, client: Client, stream: string, name: string, dice: Dice): RecordInput {
  const recorded = client.file.recorded(stream)
  const input: RecordInput = {
    method: dice.chance(0.15) ? "poison" : "put",
    args: [name],
    ...(dice.chance(sim.plan.knobs.keyed) && { key: dice.pick(["a", "b"]) }),
    ...(dice.chance(0.2) && recorded.length > 0 && { dependsOn: [dice.pick(recorded)] }),
    ...(dice.chance(0.3) && { captureId: `event ${name}` }),
    ...(dice.chance(0.2) && { wantResult: true }),
  }
  const kind = dice.fraction()
  const version = sim.clientVersion
  if (kind < 0.15) return { ...input, method: "edit", schemaVersion: version, args: [version === 1 ? name : { name }] }
  const about = kind < 0.3 ? sim.host(client).heldOn(stream, dice) : undefined
  if (!about) return input
  sim.host(client).about.set(name, about.name)
  // What it refers to is gone with the process: it could not be told again.
  delete input.captureId
  return { ...input, args: [name, about.intent] }
}

function wordsOf(sim: Simulation, name: string, stream: string, input: RecordInput): string {
  const { method, key, dependsOn = [], captureId, args } = input
  const words = [
    name,
    stream === "s" ? "" : `on ${stream}`,
    method === "put" ? "" : method,
    key === undefined ? "" : `key ${key}`,
    dependsOn.length === 0 ? "" : `after ${dependsOn.map((on) => sim.world.name(String(on))).join(" ")}`,
    args.length > 1 ? "about another" : "",
    captureId === undefined ? "" : "captured",
  ]
  return words.filter(Boolean).join(" ")
}
