/** Looks at each POST as it leaves a process, and at what that process makes of the answer. */
import type { OutboxEvent } from "../../inspect/event.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "../../wire/transport.ts"
import type { Client } from "../world/client.ts"
import type { OutboxFile } from "../world/outbox-file.ts"
import type { Simulation } from "./simulation.ts"

interface Register {
  cursor: number
  head_op_id: string | null
}

/** What a stream of a life of a process did last. */
interface Talk {
  inFlight: number
  /** Text of the last POST, and how often the service had been rolled back when it left. */
  sent: string
  rollbacks: number
  /** The service that gave the grant. */
  answered_by: string | undefined
  /** The register that the answer to it named in a refusal. */
  told: Register | undefined
  /** The last answer said to come back after so many ms. */
  asked_ms: number | undefined
  /** Since that was written down: when that is, by the monotonic clock. */
  notBefore: number
  /** It was no word of a share service: a page. */
  isPage: boolean
  /** It said that it is a twin, of that answer. */
  saidTwin: boolean
}

const refusedRegister = /"refused":"(?:gap|server_reset)"[^\n]*?"cursor":(\d+),"head_op_id":(?:"(\w+)"|null)/
const ackedHead = /"batch_id":"\w+","cursor":\d+,"head_op_id":"(\w+)"/g
const grantOf = /"service_id":"([\w-]+)"/
const opIds = /"op_id":"(\w+)"/g

/** Blocks that the service's word on a secret causes. */
const ofSecret: ReadonlySet<string> = new Set(["revoked", "expired"])

/** It goes beside what the flusher sends, and settles nothing. */
function isRotation({ body }: TransportRequest): boolean {
  return body.includes('"rotateSecret"')
}

export class PostWatch {
  readonly #talks = new Map<string, Talk>()
  /** Heads that each file was told of: its base may be one of them, also after a restore. */
  readonly #heads = new Map<OutboxFile, Set<string>>()
  /** Files to which a person brought a secret that they did not wait for. */
  readonly hurried = new Set<OutboxFile>()
  /** Files of which a commit failed that happened: their process waits for what it knows, not for what is written. */
  readonly unsure = new Set<OutboxFile>()
  /** By stream and file: as of how many rollbacks its removal was said to be done. */
  readonly #removals = new Map<string, number>()
  /** Removals that are to be repeated, as of so many rollbacks. */
  readonly #owed = new Map<string, { file: OutboxFile; rollbacks: number; restores: number }>()
  readonly #terms = new Map<Client, { life: number; term: number }>()
  /** A time that was written down by a clock that then jumped says nothing. */
  readonly keepsTime: boolean

  constructor(readonly sim: Simulation) {
    this.keepsTime = !sim.plan.steps.some(({ does }) => does === "clock jumped")
  }

  /** I11, I9: one in flight per stream, none before its time, by who holds the lease; nothing after a removal. */
  left(client: Client, request: TransportRequest): string[] {
    const wrong: string[] = []
    if (isRotation(request)) return wrong
    const { file } = client
    const stream = this.#streamOf(request)
    const talk = this.#talkOf(client, stream)
    const key = `${stream} of ${client.name} in life ${client.lives}`
    talk.inFlight += 1
    talk.sent = request.body
    talk.rollbacks = this.sim.world.server.rollbacks
    talk.told = undefined
    talk.isPage = false
    talk.saidTwin = false
    if (talk.inFlight > 1) wrong.push(`I11 ${talk.inFlight} POSTs of ${key} in flight`)
    const row = file.row(stream)
    if (!row) return wrong
    const carries = request.body.includes('"appendOps"')
    if (row.time_removal !== null && carries) wrong.push(`I4 ops of ${key} were sent after its removal was recorded`)
    const early_ms = (row.next_attempt_at ?? 0) - (this.sim.world.clock.now() + client.skew_ms)
    // A person who has something new to say ends a pause, but not one that the service asked for.
    const mayHurry = (row.time_removal !== null || this.hurried.has(file)) && talk.asked_ms === undefined
    if (early_ms > 1 && this.keepsTime && !mayHurry && !this.unsure.has(file))
      wrong.push(`I11 a POST of ${key} left ${early_ms} ms early, after ${row.block ?? row.last_error}`)
    const held = this.#terms.get(client)
    const { term } = file.lease
    if (held?.life !== client.lives || held.term !== term)
      wrong.push(`I9 a POST of ${key} left under term ${held?.term}, and it is ${term}`)
    const left_ms = talk.notBefore - this.sim.world.clock.monotonic()
    if (left_ms > 1 && this.keepsTime) wrong.push(`I11 a POST of ${key} left ${left_ms} ms before Retry-After`)
    if (carries) wrong.push(...this.#pending(client, request))
    return wrong
  }

  /** I4: what is sent is pending here: not settled, nor replaced by a newer op. */
  #pending({ file, name }: Client, { body }: TransportRequest): string[] {
    const { pending } = file
    return [...body.matchAll(opIds)]
      .map(([, op_id]) => op_id!)
      .filter((op_id) => !pending.has(op_id))
      .map((op_id) => `I4 ${this.sim.world.name(op_id)} was sent by ${name}, and is not pending`)
  }

  returned(client: Client, request: TransportRequest, answer: TransportResponse | TransportFault): void {
    if (isRotation(request)) return
    const talk = this.#talkOf(client, this.#streamOf(request))
    talk.inFlight -= 1
    talk.asked_ms = undefined
    talk.answered_by = undefined
    if (answer instanceof TransportFault) return
    if (answer.retry_after !== null) talk.asked_ms = Number(answer.retry_after) * 1_000
    talk.isPage = answer.status === 200 && answer.content_type?.startsWith("text/html") === true
    const [, cursor, head] = refusedRegister.exec(answer.body) ?? []
    if (cursor !== undefined) talk.told = { cursor: Number(cursor), head_op_id: head ?? null }
    talk.answered_by = grantOf.exec(answer.body)?.[1]
    for (const [, acked] of answer.body.matchAll(ackedHead)) this.#headsOf(client.file).add(acked!)
  }

  heard(client: Client, event: OutboxEvent): string[] {
    if (event.name === "lease" && event.held) this.#terms.set(client, { life: client.lives, term: event.term })
    if (event.name === "lease" && !event.held) this.#terms.delete(client)
    if (!("stream" in event) || event.stream === undefined) return []
    const talk = this.#talkOf(client, event.stream)
    const where = `${event.stream} of ${client.name}`
    if (event.name === "twin") talk.saidTwin = true
    if (event.name === "removed" || event.name === "acked") {
      const { service_id } = client.file.row(event.stream)!
      const { answered_by } = talk
      if (answered_by !== undefined && service_id !== null && answered_by !== service_id)
        return [`${where} took the word of service ${answered_by} for that of ${service_id}`]
    }
    if (event.name === "removed") this.#removals.set(`${event.stream} of ${client.file.name}`, talk.rollbacks)
    if (event.name === "server_reset") this.#owe(client, talk)
    if (event.name === "failed" && talk.asked_ms !== undefined)
      talk.notBefore = this.sim.world.clock.monotonic() + talk.asked_ms
    // A person who lifts a block asks at once, whatever a probe was told.
    if (event.name === "unblocked") talk.notBefore = 0
    if (event.name === "server_reset" || (event.name === "failed" && event.code === "gap"))
      return this.#rebased(client, event.stream, talk)
    if (event.name === "failed" && talk.isPage) return [`${where} took a page for an answer: ${event.code}`]
    if (event.name === "blocked" && ofSecret.has(event.reason) && talk.sent !== "") {
      const { secret, next_secret } = client.file.row(event.stream)!
      if (!talk.sent.includes(secret) && !(next_secret !== null && talk.sent.includes(next_secret)))
        return [`${where} is blocked ${event.reason} for a secret that it has no more`]
    }
    return []
  }

  /** I9: a lease is given back by its holder only. */
  get freed(): string[] {
    return [...this.#terms].flatMap(([client, { life, term }]) => {
      if (!client.opened || client.lives !== life || client.stopped) return []
      const { lease } = client.file
      return lease.isFree && lease.term === term ? [`I9 the lease of ${client.name} was given back by another`] : []
    })
  }

  /** The service lost data: what it was told to remove before, it is told again. */
  #owe({ file }: Client, { rollbacks }: Talk): void {
    const { restores } = file
    for (const { name, time_closed } of file.streamRows)
      if (time_closed !== null) this.#owed.set(`${name} of ${file.name}`, { file, rollbacks, restores })
  }

  /** At the end: shares that are there although their removal was told to the service as it is, or had to be. */
  get unremoved(): string[] {
    const { server } = this.sim.world
    const owed = [...this.#owed].filter(
      ([key, { file, rollbacks, restores }]) =>
        rollbacks === server.rollbacks && restores === file.restores && this.#removals.get(key) !== rollbacks,
    )
    // A service that was rolled back does not know a capability or a secret that was given later: a bad secret and an
    // unknown share are answered alike, and to a removal an unknown share is no more.
    const { world, owner } = this.sim
    const isUnknown = server.rollbacks > 0 && (world.lent.length > 0 || owner.hasRotated)
    const undone = this.sim.streams.filter(
      (stream) =>
        !isUnknown &&
        this.sim.world.files.some((file) => this.#removals.get(`${stream} of ${file.name}`) === server.rollbacks) &&
        server.shareOf(this.sim.world.refOf(stream).share_id) === "live",
    )
    return [
      ...owed.map(([key]) => `the removal of ${key} was not repeated at a service that had lost data`),
      ...undone.map((stream) => `the share of ${stream} was removed, and lives`),
    ]
  }

  /** The base is the register that the service told last; a head in it that nobody here knows is that of a twin. */
  #rebased({ file, name }: Client, stream: string, talk: Talk): string[] {
    const { told } = talk
    const row = file.row(stream)
    if (!told || !row) return []
    const { base_cursor, base_head_op_id } = row
    const wrong: string[] = []
    if (base_cursor !== told.cursor || base_head_op_id !== told.head_op_id)
      wrong.push(`${stream} of ${name} was told the register ${told.cursor}, and starts at ${base_cursor}`)
    const heads = this.#headsOf(file)
    const { head_op_id } = told
    if (head_op_id === null) return wrong
    const isNews = !heads.has(head_op_id) && !file.knows(head_op_id) && row.pruned_op_id === null
    heads.add(head_op_id)
    return isNews && !talk.saidTwin ? [...wrong, `${stream} of ${name} met a twin, and did not notice`] : wrong
  }

  #headsOf(file: OutboxFile): Set<string> {
    const known = this.#heads.get(file) ?? new Set()
    this.#heads.set(file, known)
    return known
  }

  #talkOf(client: Client, stream: string): Talk {
    const key = `${stream} ${client.name} ${client.lives}`
    const known = this.#talks.get(key) ?? {
      inFlight: 0,
      sent: "",
      rollbacks: 0,
      answered_by: undefined,
      told: undefined,
      asked_ms: undefined,
      notBefore: 0,
      isPage: false,
      saidTwin: false,
    }
    this.#talks.set(key, known)
    return known
  }

  #streamOf({ body }: TransportRequest): string {
    return this.sim.streams.find((name) => body.includes(this.sim.world.refOf(name).share_id)) ?? "?"
  }
}
