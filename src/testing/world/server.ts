/** The real share service of a test world, with methods whose effects can be counted. */
import { hashOf } from "../../service/capability.ts"
import { createShareService, type ServiceEvent, type ShareServer } from "../../service/index.ts"
import { BatchTransport } from "../../wire/batch-transport.ts"
import type { Ack, AppendBatch, GrantLimits, LiveShare, Refusal, ShareService } from "../../wire/contract.ts"
import { RpcSession, type RpcStub } from "capnweb"
import { App, AppBug } from "./app.ts"
import { giveMachine, type Machine, type MachineRows, takeMachine } from "./machine.ts"
import { opIdOf } from "./op-id.ts"
import type { World } from "./world.ts"

export type Outcome = "applied" | "rejected" | "superseded"

export class Server {
  #service: ShareServer
  #machine: Machine
  #backup: { rows: MachineRows; secret: string } | undefined
  /** Rollbacks and replacements so far: what was acknowledged before may be gone. */
  rollbacks = 0
  /** So many times it died: it may have decided a batch, and told nobody. */
  deaths = 0
  /** The server dies at the next point of this name; `restart` brings it back. */
  killAt: string | undefined
  #dead = false
  readonly app = new App()
  /** Somebody else's, that answers in its place. */
  #impostor: { service: ShareServer; machine: Machine } | undefined
  /** Grows with everything that may have changed what it knows. */
  version = 0
  /** Every batch that was looked at. */
  readonly batches: AppendBatch[] = []
  /** Seams passed so far. */
  crashPoints: string[] = []
  /** It dies at the n-th of them. */
  killAtHit: number | undefined
  died: () => void = () => {}
  /** Told of every batch and its answer. */
  answered: (batch: AppendBatch, answer: Ack | Refusal, share_id: string) => void = () => {}

  constructor(
    readonly world: World,
    readonly limits: Partial<GrantLimits> = {},
  ) {
    this.#machine = takeMachine()
    this.#service = this.#serviceOn(this.#machine)
  }

  async fetch(body: string): Promise<Response> {
    const asked = new Request(this.world.ref.service, { method: "POST", body })
    if (this.#impostor) return this.#impostor.service.fetch(asked)
    if (this.#dead) return new Response("the gateway finds nobody", { status: 502 })
    const response = await this.#service.fetch(asked)
    this.version += 1
    this.#noteRotations(body)
    return this.#dead ? new Response("the gateway finds nobody", { status: 502 }) : response
  }

  get sql() {
    return this.#service.sql
  }

  /** Names of the ops that had an effect, in order. */
  get effects(): string[] {
    return this.sql.all<{ name: string }>(`SELECT name FROM effect ORDER BY id`).map((row) => row.name)
  }

  get effectIds(): string[] {
    return this.sql.all<{ op_id: string }>(`SELECT op_id FROM effect ORDER BY id`).map((row) => row.op_id)
  }

  /** What the server says became of each op that it knows; nothing of a removed share. */
  get outcomes(): Map<string, Outcome> {
    const rows = this.sql.all<{ op_id: Uint8Array; position: number | null; code: string | null }>(
      `SELECT op_id, position, code FROM op`,
    )
    const outcome = (row: (typeof rows)[number]): Outcome =>
      row.position !== null ? "applied" : row.code !== null ? "rejected" : "superseded"
    return new Map(rows.map((row) => [opIdOf(row.op_id), outcome(row)]))
  }

  /** By name: the result of another op that it was told. */
  get about(): Map<string, string> {
    const rows = this.sql.all<{ name: string; about: string }>(`SELECT name, about FROM effect WHERE about IS NOT NULL`)
    return new Map(rows.map(({ name, about }) => [name, about]))
  }

  /** `live`, `removed`, or `unknown`. */
  get share(): string {
    return this.shareOf(this.world.ref.share_id)
  }

  shareOf(share_id: string): string {
    const row = this.sql.get<{ time_removed: number | null }>(
      `SELECT time_removed FROM share WHERE share_id = ?`,
      share_id,
    )
    return !row ? "unknown" : row.time_removed === null ? "live" : "removed"
  }

  /** Whose secret it is, as far as it knows: of the share itself, and not retired. */
  isRoot(share_id: string, secret: string): boolean {
    const found = this.sql.get(
      `SELECT 1 FROM share s JOIN capability_secret cs ON cs.share = s.id JOIN capability c ON c.id = cs.capability
       WHERE s.share_id = ? AND cs.secret_hash = ? AND cs.retired = 0 AND c.parent IS NULL`,
      share_id,
      hashOf(secret),
    )
    return found !== undefined
  }

  /** A call of somebody else's. */
  async call<T>(ask: (service: RpcStub<ShareService & object>) => PromiseLike<T>): Promise<T> {
    const transport = new BatchTransport()
    const session = new RpcSession<ShareService & object>(transport)
    // capnweb asks for the answer when `then` is called.
    const asked = new Promise<T>((resolve, reject) => void ask(session.getRemoteMain()).then(resolve, reject))
    const response = await this.fetch(transport.body)
    const { status } = response
    transport.answer({ status, retry_after: null, content_type: null, body: await response.text() })
    return asked
  }

  /** A call on the share by who holds its secret. */
  asOwner<T>(ask: (share: LiveShare) => T): Promise<Awaited<T>> {
    const { share_id, secret } = this.world.ref
    const writer_id = "somebody_else_who_reads"
    return this.call((service) => {
      const grant = service.redeemShare({ share_id, secret, writer_id }) as unknown as { share: LiveShare }
      return ask(grant.share) as PromiseLike<Awaited<T>>
    })
  }

  /** Whoever drew a secret that it has taken knows it, and so does the world. */
  #noteRotations(body: string): void {
    for (const [, secret] of body.matchAll(/"rotateSecret"\],\[\{"secret":"([\w-]+)"/g))
      for (const ref of this.world.refs) if (this.isRoot(ref.share_id, secret!)) ref.secret = secret!
  }

  /** kill -9 now. */
  kill(): void {
    this.world.crashes += 1
    this.deaths += 1
    this.#dead = true
    this.died()
  }

  get killed(): boolean {
    return this.#dead
  }

  restart(): void {
    this.#dead = false
    // It waits for the lock.
    this.isBusy = false
    this.busyFor(0)
    this.#service.close()
    this.#service = this.#serviceOn(this.#machine)
  }

  backup(): void {
    this.#backup = { rows: this.#machine.rows, secret: this.world.ref.secret }
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined
  }

  /** All that was decided since the backup is forgotten. */
  rollback(): void {
    this.world.say("server rolled back")
    const { rows, secret } = this.#backup!
    this.#machine.rows = rows
    // The owner knows what it was then.
    this.world.ref.secret = secret
    this.restart()
    this.rollbacks += 1
    this.version += 1
  }

  /** Another server, with nothing in it, answers at this address. */
  replace(): void {
    this.world.say("server replaced")
    this.rollbacks += 1
    this.#service.close()
    giveMachine(this.#machine)
    this.#machine = takeMachine()
    this.#service = this.#serviceOn(this.#machine)
  }

  /** Another service answers at this address, until `back`: it has the shares, unless it is empty, and none of their ops. */
  async swap(isEmpty = false): Promise<void> {
    if (this.#impostor) return
    const machine = takeMachine()
    this.#impostor = { machine, service: this.#serviceOn(machine) }
    if (isEmpty) return
    for (const { share_id, secret } of this.world.refs)
      await this.call((service) => service.createShare({ share_id, secret, session_id: "ses_1" }))
  }

  back(): void {
    if (!this.#impostor) return
    giveMachine(this.#impostor.machine)
    this.#impostor = undefined
  }

  get isSwapped(): boolean {
    return this.#impostor !== undefined
  }

  /** While it is so, it answers `busy`. */
  get isBusy(): boolean {
    return this.#machine.isBusy
  }

  set isBusy(isBusy: boolean) {
    this.#machine.isBusy = isBusy
  }

  /** It answers `busy` to so many transactions, the next ones or those `after` some more. */
  busyFor(transactions: number, after = 0): void {
    this.#machine.busyFor = transactions
    this.#machine.busyAfter = after
  }

  /** It is there, it is ours, and it has no bugs. */
  heal(): void {
    this.back()
    this.isBusy = false
    this.busyFor(0)
    this.app.bugs = 0
    this.killAt = undefined
    if (this.#dead) this.restart()
  }

  close(): void {
    this.back()
    this.#service.close()
    giveMachine(this.#machine)
  }

  #serviceOn(machine: Machine): ShareServer {
    const { clock } = this.world
    const isOurs = () => machine === this.#machine
    return createShareService({
      sql: machine.sql,
      methods: this.app.methods,
      limits: this.limits,
      seams: {
        clock,
        random: this.world.random(),
        crashPoint: (name) => isOurs() && this.#crashPoint(name),
      },
      observe: (event) => isOurs() && this.#observe(event),
    })
  }

  #crashPoint(name: string): void {
    this.crashPoints.push(name)
    if (name === this.killAt || this.crashPoints.length === this.killAtHit) {
      this.killAt = undefined
      this.kill()
    }
    if (this.#dead) throw new Error(`the server died at ${name}`)
  }

  #observe(event: ServiceEvent): void {
    if (this.#dead) return
    if (event.name === "failure" && !(event.error instanceof AppBug)) throw event.error
    if (event.name !== "batch") return
    this.batches.push(event.batch)
    this.answered(event.batch, event.answer, event.share_id)
    this.world.say(this.#line(event.batch, event.answer))
  }

  /** `1 2 @0: applied 1, rejected 2 poison` */
  #line(batch: AppendBatch, answer: Ack | Refusal): string {
    const name = (op_id: string) => this.world.name(op_id)
    const head = `${batch.ops.map((op) => name(op.op_id)).join(" ")} @${batch.expected_cursor}`
    if ("refused" in answer) return `${head}: ${answer.refused}`
    const said = [
      ...(answer.applied.length ? [`applied ${answer.applied.map(name).join(" ")}`] : []),
      ...(answer.duplicates.length ? [`duplicate ${answer.duplicates.map(name).join(" ")}`] : []),
      ...answer.rejected.map(({ op_id, code }) => `rejected ${name(op_id)} ${code}`),
    ]
    return `${head}: ${said.join(", ")}`
  }
}
