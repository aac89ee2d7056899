/** Looks after each event whether everything holds, and counts what was met: faults, refusals, failures, blocks. */
import type { OutboxEvent } from "../../inspect/event.ts"
import { SturdyError } from "../../intent/error.ts"
import * as limit from "../../intent/limit.ts"
import type { StreamRow } from "../../store/stream.ts"
import type { Client } from "../world/client.ts"
import type { OutboxFile } from "../world/outbox-file.ts"
import { PostWatch } from "./post-watch.ts"
import { ServiceWatch } from "./service-watch.ts"
import type { Simulation } from "./simulation.ts"

/** An invariant does not hold. */
export class Violation extends Error {}

/** ms: no gateway asks for more. */
export const asked_ms_max = 40_000
/** Faults of a disk, told as events. */
const diskCodes: ReadonlySet<string> = new Set(["storage_fault", "disk_full", "busy"])

export class Watch {
  /** By kind and name, e.g. `blocked revoked`: so many times. */
  readonly met = new Map<string, number>()
  #looked = -1
  readonly #cursors = new Map<string, { cursor: number; resets: number; restores: number; service_id: string | null }>()
  readonly #twins = new Map<string, { file: OutboxFile; stream: string; restores: number }>()
  readonly #wrong: string[] = []
  readonly #attempts = new Map<string, { block: string | null; attempts: number; restores: number }>()
  /** Streams whose removal was recorded somewhere, forgotten or not. */
  readonly removed = new Set<string>()
  /** What each op was replaced by, as the host was told. */
  readonly #replaced = new Map<string, string>()
  readonly posts: PostWatch
  readonly service: ServiceWatch

  constructor(readonly sim: Simulation) {
    this.posts = new PostWatch(sim)
    this.service = new ServiceWatch(sim)
    const { world } = sim
    world.heard = (client, event) => this.#heard(client, event)
    world.server.answered = (batch, answer, share_id) => {
      this.count("refused" in answer ? `refused ${answer.refused}` : "acked")
      this.#wrong.push(...this.service.answered(batch, answer, share_id))
    }
    world.net.left = (client, request) => this.#wrong.push(...this.posts.left(client, request))
    world.net.heard = (client, request, answer) => this.posts.returned(client, request, answer)
  }

  count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1)
  }

  /** A process that starts changes nothing of what is known of a stream: not its block, nor what it waits for. */
  starting(file: OutboxFile, start: () => void): void {
    const before = new Map(file.streamRows.map((row) => [row.name, JSON.stringify(row)]))
    start()
    for (const [name, row] of before)
      if (JSON.stringify(file.row(name)) !== row)
        this.#wrong.push(`a process that started changed ${name} of ${file.name}`)
  }

  /** @throws Violation */
  check(when: "running" | "healed" = "running"): void {
    const { world, hosts } = this.sim
    for (const host of hosts) this.#wrong.push(...host.wrong.splice(0))
    const version = world.files.reduce((sum, file) => sum + file.commits, world.server.version)
    if (version !== this.#looked || when === "healed") {
      this.#looked = version
      this.#checkStreams()
      this.#wrong.push(...this.posts.freed)
      this.#wrong.push(...world.invariants.violations(when))
    }
    if (this.#wrong.length > 0) throw new Violation(this.#wrong.join("\n"))
  }

  fail(what: string): never {
    throw new Violation(what)
  }

  /** I5: a cursor goes back only in a reported server_reset. A stream belongs to the service that it met first. */
  #checkStreams(): void {
    for (const file of this.sim.world.files)
      for (const row of file.streamRows) {
        const { name, cursor, reset_count, time_removal, service_id } = row
        this.#checkPace(file, row)
        if (time_removal !== null) this.removed.add(name)
        const key = `${name} of ${file.name}`
        const before = this.#cursors.get(key)
        if (before && before.restores === file.restores && before.resets === reset_count && cursor < before.cursor)
          this.#wrong.push(`I5 the cursor of ${key} went from ${before.cursor} back to ${cursor}`)
        if (before?.service_id && before.restores === file.restores && before.service_id !== service_id)
          this.#wrong.push(`${key} went over to service ${service_id}`)
        this.#cursors.set(key, { cursor, resets: reset_count, restores: file.restores, service_id })
      }
  }

  /** I11: the next attempt is within the backoff bound, the next probe not before its time. */
  #checkPace(file: OutboxFile, row: StreamRow): void {
    const { name, block, attempts, next_attempt_at } = row
    const key = `${name} of ${file.name}`
    const before = this.#attempts.get(key)
    this.#attempts.set(key, { block, attempts, restores: file.restores })
    const isNew = before?.restores === file.restores && (before.block !== block || attempts > before.attempts)
    if (next_attempt_at === null || !isNew || !this.posts.keepsTime) return
    const delay_ms = next_attempt_at - this.sim.world.clock.now()
    const max_ms = Math.max(this.sim.plan.knobs.retryDelayMsMax, asked_ms_max)
    if (block !== null && delay_ms < limit.probe_delay_ms_min - 1)
      this.#wrong.push(`I11 the probe of ${key}, blocked ${block}, is due in ${delay_ms} ms`)
    if (block === null && delay_ms > max_ms) this.#wrong.push(`I11 ${key} is to wait for ${delay_ms} ms`)
  }

  #heard(client: Client, event: OutboxEvent): void {
    const { world } = this.sim
    const { name } = event
    if (name === "failed") this.count(`failed ${event.code}`)
    else if (name === "blocked") this.count(`blocked ${event.reason}`)
    else if (name === "rejected") this.count(`rejected ${event.code}`)
    else this.count(`event ${name}`)
    this.#wrong.push(...this.posts.heard(client, event))
    if (name === "acked" && !client.file.isSettled(event.batch_id))
      this.#wrong.push(`I4 batch ${event.batch_id} was told as acked and is not settled`)
    if (name === "rejected" && event.code === "dependency_missing" && !this.sim.forgotten)
      this.#wrong.push(`I3 ${world.name(event.op_id)} came before what it depends on`)
    if (name === "superseded") this.#replaced.set(event.op_id, event.by_op_id)
    if (name === "twin" || name === "resynced") this.#toldTwin(client, event.stream, name)
    if (name === "fault" && !(event.cause instanceof SturdyError && diskCodes.has(event.cause.code)))
      this.#wrong.push(`I12 a fault: ${event.message}`)
    if ("message" in event && world.secrets.some((secret) => event.message.includes(secret)))
      this.#wrong.push(`I13 a secret in the message of ${name}`)
    const line = lineOf(event)
    if (line) world.say(`${client.name} ${line}`)
  }

  /** I3: what was replaced comes after none of those that stand for it, whichever copy of the outbox still had it. */
  get overtaken(): string[] {
    const { world } = this.sim
    const place = new Map(world.server.effectIds.map((op_id, at) => [op_id, at]))
    return [...this.#replaced.keys()].flatMap((op_id) => {
      const at = place.get(op_id)
      if (at === undefined) return []
      for (let by = this.#replaced.get(op_id); by !== undefined; by = this.#replaced.get(by))
        if ((place.get(by) ?? Infinity) < at)
          return [`I3 ${world.name(op_id)} was applied after ${world.name(by)}, which had replaced it`]
      return []
    })
  }

  /** The hook of a host that has one is told of each twin. */
  #toldTwin({ file }: Client, stream: string, name: "twin" | "resynced"): void {
    const key = `${stream} of ${file.name}`
    if (name === "twin") this.#twins.set(key, { file, stream, restores: file.restores })
    else this.#twins.delete(key)
  }

  /** Streams with a twin of which no hook was told, unless that was forgotten with the file, or the share is no more. */
  get untold(): string[] {
    const owed = [...this.#twins].filter(([, { file, stream, restores }]) => {
      const row = file.row(stream)
      return file.restores === restores && row?.block === null && row.time_removal === null
    })
    return owed.map(([key]) => key)
  }
}

/** What a reader of the trace wants to know. */
function lineOf(event: OutboxEvent): string | undefined {
  switch (event.name) {
    case "failed":
      return `${event.stream} failed ${event.code}, ${event.outcome}, attempt ${event.attempts}`
    case "blocked":
      return `${event.stream ?? "outbox"} blocked ${event.reason}`
    case "unblocked":
      return `${event.stream ?? "outbox"} unblocked ${event.reason}`
    case "twin":
    case "server_reset":
    case "removed":
      return `${event.stream} ${event.name}`
    case "lease":
      return event.held ? `has the lease, term ${event.term}` : `has the lease of term ${event.term} no more`
    case "fault":
      return `fault ${event.message}`
    default:
      return undefined
  }
}
