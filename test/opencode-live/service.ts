/** The share service under test, behind the fault proxy: what the trials may do to it, and what it holds. */
import { join } from "node:path"
import { openFaultProxy, type FaultProxy } from "../../src/testing/index.ts"
import type { Json } from "./json.ts"
import { openLegacyService } from "./legacy-service.ts"
import { openSturdyService } from "./sturdy-service.ts"

export interface HeldShare {
  share_id: string
  session_id: string
  open: boolean
  /** What it shows, by `itemKey`. */
  items: Map<string, Json>
  /** Canonical text of every state that ever reached it, by `itemKey`. */
  stored: Map<string, Set<string>>
  /** State of each turn, by the id of its message; a legacy service knows none. */
  turns?: Map<string, string>
}

export interface InnerService extends AsyncDisposable {
  readonly url: string
  /** Grows with everything that it takes. */
  readonly changes: number
  /** In the order in which they were made. */
  shares(): Promise<HeldShare[]>
  /** Stops in order and starts again, on the same file and port. */
  restart?(): Promise<void>
}

export type ServiceKind = "sturdy" | "legacy"

export class Service implements AsyncDisposable {
  private constructor(
    private readonly inner: InnerService,
    private readonly proxy: FaultProxy,
  ) {}

  static async open(kind: ServiceKind, folder: string): Promise<Service> {
    const inner = kind === "sturdy" ? openSturdyService(join(folder, "share.db")) : openLegacyService()
    return new Service(inner, await openFaultProxy({ to: inner.url }))
  }

  /** Origin, through the proxy. */
  get url(): string {
    return this.proxy.url
  }

  get changes(): number {
    return this.inner.changes
  }

  /** Requests that came through the proxy. */
  get requests(): number {
    return this.proxy.exchanges.length
  }

  shares(): Promise<HeldShare[]> {
    return this.inner.shares()
  }

  /** The next request is answered 500, and stored nowhere. */
  failOnce(): void {
    this.proxy.next({ fault: "status", status: 500 })
  }

  /** Every request is, from here on. */
  fail(): void {
    this.proxy.always({ fault: "status", status: 500 })
  }

  /** The next request is stored, and its answer lost with the connection. */
  dropAnswerOnce(): void {
    this.proxy.next({ fault: "cut_response", at: 20, by: "fin" })
  }

  /** The next request breaks off within its body: nothing of it is stored. */
  cutOnce(): void {
    this.proxy.next({ fault: "cut_request", at: 400, by: "fin" })
  }

  /** The next request arrives so much later, after those that were sent after it. */
  delayOnce(delay_ms: number): void {
    this.proxy.next({ fault: "delay_request", delay_ms })
  }

  /** Nobody listens. */
  async down(): Promise<void> {
    await this.proxy.down()
  }

  async up(): Promise<void> {
    await this.proxy.up()
  }

  /** Everything is accepted and nothing ever answered, as in a network that swallows packets. */
  swallow(): void {
    this.proxy.always({ fault: "drop_request" })
    this.proxy.alwaysConnection({ fault: "silence" })
  }

  /** No fault is left. */
  heal(): void {
    this.proxy.heal()
  }

  async restart(): Promise<void> {
    await this.inner.restart?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]()
    await this.inner[Symbol.asyncDispose]()
  }
}
