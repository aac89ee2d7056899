/** Looks after each event whether everything holds, and counts what was met: faults, refusals, failures, blocks. */
import type { OutboxEvent } from "../../inspect/event.ts"
import { SturdyError } from "../../intent/error.ts"
import type { Ack, AppendBatch, Refusal } from "../../wire/contract.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "../../wire/transport.ts"
import type { Client } from "../world/client.ts"
import type { OutboxFile } from "../world/outbox-file.ts"
import type { FaultName } from "./faults.ts"
import type { Simulation } from "./simulation.ts"

/** An invariant does not hold. */
export class Violation extends Error {}

/** Faults after which a process may have forgotten what it was told: when to come back, what it counted. */
const forgetful: ReadonlySet<string> = new Set<FaultName>([
  "clock jumped",
  "outbox restored",
  "outbox copied",
  "commit failed",
  "commit unknown",
  "disk full",
  "lock held",
])
/** Faults that cut frozen batches. */
const cutting: ReadonlySet<string> = new Set<FaultName>(["gateway limit", "gateway status", "app bug"])
/** Faults of a disk, told as events. */
const diskCodes: ReadonlySet<string> = new Set(["storage_fault", "disk_full", "busy"])

export class Watch {
  /** By kind and name, e.g. `blocked revoked`: so many times. */
  readonly met = new Map<string, number>()
  #looked = -1
  readonly #texts = new Map<string, string>()
  readonly #batches = new Map<string, string>()
  readonly #cursors = new Map<string, { cursor: number; resets: number; restores: number }>()
  readonly #notBefore = new Map<string, number>()
  readonly #twins = new Map<string, { file: OutboxFile; stream: string; restores: number }>()
  readonly #inFlight = new Map<string, number>()
  readonly #wrong: string[] = []
  readonly #remembers: boolean
  readonly #keepsBatches: boolean

  constructor(readonly sim: Simulation) {
    const does = sim.plan.steps.map((step) => step.does)
    this.#remembers = !does.some((name) => forgetful.has(name))
    this.#keepsBatches = !does.some((name) => cutting.has(name))
    const { world } = sim
    world.heard = (client, event) => this.#heard(client, event)
    world.server.answered = (batch, answer) => this.#answered(batch, answer)
    world.net.left = (client, request) => this.#left(client, request)
    world.net.heard = (client, request, answer) => this.#returned(client, request, answer)
  }

  count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1)
  }

  /** @throws Violation */
  check(when: "running" | "healed" = "running"): void {
    const { world, hosts } = this.sim
    for (const host of hosts) this.#wrong.push(...host.wrong.splice(0))
    const version = world.files.reduce((sum, file) => sum + file.commits, world.server.version)
    if (version !== this.#looked || when === "healed") {
      this.#looked = version
      this.#checkCursors()
      this.#wrong.push(...world.invariants.violations(when))
    }
    if (this.#wrong.length > 0) throw new Violation(this.#wrong.join("\n"))
  }

  fail(what: string): never {
    throw new Violation(what)
  }

  /** I5: a cursor goes back only in a reported server_reset. */
  #checkCursors(): void {
    for (const file of this.sim.world.files)
      for (const { name, cursor, reset_count } of file.streamRows) {
        const key = `${name} of ${file.name}`
        const before = this.#cursors.get(key)
        if (before && before.restores === file.restores && before.resets === reset_count && cursor < before.cursor)
          this.#wrong.push(`I5 the cursor of ${key} went from ${before.cursor} back to ${cursor}`)
        this.#cursors.set(key, { cursor, resets: reset_count, restores: file.restores })
      }
  }

  #heard(client: Client, event: OutboxEvent): void {
    const { world } = this.sim
    const { name } = event
    if (name === "failed") this.count(`failed ${event.code}`)
    else if (name === "blocked") this.count(`blocked ${event.reason}`)
    else if (name === "rejected") this.count(`rejected ${event.code}`)
    else this.count(`event ${name}`)
    if (name === "acked" && !client.file.isSettled(event.batch_id))
      this.#wrong.push(`I4 batch ${event.batch_id} was told as acked and is not settled`)
    if (name === "rejected" && event.code === "dependency_missing" && !this.sim.forgotten && !client.file.hasTwin)
      this.#wrong.push(`I3 ${world.name(event.op_id)} came before what it depends on`)
    if (name === "twin" || name === "resynced") this.#toldTwin(client, event.stream, name)
    if (name === "fault" && !(event.cause instanceof SturdyError && diskCodes.has(event.cause.code)))
      this.#wrong.push(`I12 a fault: ${event.message}`)
    if ("message" in event && world.secrets.some((secret) => event.message.includes(secret)))
      this.#wrong.push(`I13 a secret in the message of ${name}`)
    const line = lineOf(event)
    if (line) world.say(`${client.name} ${line}`)
  }

  /** The hook of a host that has one is told of each twin, once its stream has drained. */
  #toldTwin({ file }: Client, stream: string, name: "twin" | "resynced"): void {
    const key = `${stream} of ${file.name}`
    if (name === "twin") this.#twins.set(key, { file, stream, restores: file.restores })
    else this.#twins.delete(key)
  }

  /** Twins that no hook was told of, unless they were forgotten with the file, or the stream stands or is over. */
  get untold(): string[] {
    const isDue = ({ file, stream, restores }: { file: OutboxFile; stream: string; restores: number }) => {
      const row = file.row(stream)
      return file.restores === restores && row?.block === null && row.time_removal === null
    }
    return [...this.#twins].filter(([, twin]) => isDue(twin)).map(([key]) => key)
  }

  /** I8: an op says the same in every attempt, and a batch holds the same ops. */
  #answered(batch: AppendBatch, answer: Ack | Refusal): void {
    this.count("refused" in answer ? `refused ${answer.refused}` : "acked")
    for (const op of batch.ops) {
      // A copy that retries the same dead letter sends the same op, at a time of its own.
      const isRetry = this.sim.world.files.some((file) => file.retried.has(op.op_id))
      const text = JSON.stringify(isRetry ? { ...op, time_created: 0 } : op)
      const before = this.#texts.get(op.op_id) ?? text
      this.#texts.set(op.op_id, before)
      if (before !== text)
        this.#wrong.push(`I8 op ${this.sim.world.name(op.op_id)} was sent as ${before} and as ${text}`)
    }
    if (!this.#keepsBatches) return
    const ops = batch.ops.map((op) => op.op_id).join(" ")
    const before = this.#batches.get(batch.batch_id) ?? ops
    this.#batches.set(batch.batch_id, before)
    if (before !== ops) this.#wrong.push(`I8 batch ${batch.batch_id} was sent with ${before} and with ${ops}`)
  }

  /** I11: one in flight per stream, none before the service said, none but probes while blocked; nothing after a removal. */
  #left(client: Client, request: TransportRequest): void {
    const key = this.#keyOf(client, request)
    const now = this.sim.world.clock.monotonic()
    const inFlight = (this.#inFlight.get(key) ?? 0) + 1
    this.#inFlight.set(key, inFlight)
    if (inFlight > 1) this.#wrong.push(`I11 ${inFlight} POSTs of ${key} in flight`)
    const row = client.file.row(this.#streamOf(request))
    if (row && row.time_removal !== null && request.body.includes('"appendOps"'))
      this.#wrong.push(`I4 ops of ${key} were sent after its removal was recorded`)
    const untilProbe =
      row?.block == null ? 0 : (row.next_attempt_at ?? 0) - (this.sim.world.clock.now() + client.skew_ms)
    if (untilProbe > 1 && this.#remembers)
      this.#wrong.push(`I11 a POST of ${key}, blocked ${row?.block}, left before its probe`)
    const early = (this.#notBefore.get(key) ?? 0) - now
    if (early > 1 && this.#remembers) this.#wrong.push(`I11 a POST of ${key} left ${early} ms before Retry-After`)
  }

  #returned(client: Client, request: TransportRequest, answer: TransportResponse | TransportFault): void {
    const key = this.#keyOf(client, request)
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) - 1)
    if (answer instanceof TransportFault || answer.retry_after === null) return
    this.#notBefore.set(key, this.sim.world.clock.monotonic() + Number(answer.retry_after) * 1_000)
  }

  /** A stream of a life of a process. */
  #keyOf(client: Client, request: TransportRequest): string {
    return `${this.#streamOf(request)} of ${client.name} in life ${client.lives}`
  }

  #streamOf({ body }: TransportRequest): string {
    return this.sim.streams.find((name) => body.includes(this.sim.world.refOf(name).share_id)) ?? "?"
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
