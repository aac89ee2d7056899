/**
 * What the plugin has once per process, however many directories are open, and however often opencode sets it up again:
 * the outbox, the gateway, and who is told. Never closed: opencode may set the plugin up anew while it still disposes of
 * it (measured), and calls no hook at all when it is killed.
 */
import { resolve } from "node:path"
import { httpJson, openOutbox, rpc, SturdyError, type Outbox, type Protocol, type Stream } from "../index.ts"
import type { Seams } from "../intent/seam.ts"
import { opencodeDatabase, outboxFile } from "./data-place.ts"
import { EventLog } from "./event-log.ts"
import { type Gateway, exceptLoopbackFromProxies, openGateway } from "./gateway.ts"
import { legacyRest } from "./legacy-rest.ts"
import { type Notice, Notices, tellOpencode } from "./notice.ts"
import type { PluginInstance } from "./plugin-instance.ts"
import type { PluginOptions, ShareTransport } from "./plugin-options.ts"
import { sessionOf } from "./session-shares.ts"

/**
 * Shared by copies of this module too: a plugin that is listed twice, or bundled and linked. The number is that of the
 * form of what they call of each other.
 */
const registry = Symbol.for("sturdy.opencode.processes/1")

const protocols: Record<ShareTransport, readonly Protocol[]> = {
  rpc: [rpc],
  http: [httpJson],
  rest: [legacyRest],
  auto: [rpc, httpJson, legacyRest],
}

/** Between two tries to open an outbox that could not be opened: every event of a shared session asks for it, ms. */
export const reopen_ms = 5_000

function processes(): Map<string, PluginProcess> {
  return ((globalThis as Record<symbol, unknown>)[registry] ??= new Map()) as Map<string, PluginProcess>
}

export class PluginProcess {
  readonly notices = new Notices((notice) => this.#tell(notice))
  /** By directory, the latest last. Of two in one directory the later one lives. */
  readonly #instances = new Map<string, PluginInstance>()
  /** By directory, the endpoint that opencode's own client would use there. */
  readonly #configured = new Map<string, string>()
  /** Names of the directories in the URLs of the gateway. */
  readonly #places: string[] = []
  /** Endpoints that somebody named: the service key is for them, and for no other at which a share may be. */
  readonly #named = new Set<string>()
  #outbox: Outbox | undefined
  #failed: { at: number; error: unknown } | undefined
  #gateway: Gateway | undefined
  #log: EventLog | undefined

  private constructor(
    readonly file: string,
    readonly options: PluginOptions,
    readonly seams: Seams,
  ) {}

  /** The one of this outbox file. The transport and the key of whoever comes first hold for all. */
  static of(options: PluginOptions, directory: string, seams: Seams): PluginProcess {
    // As the path of redact: the folder in which opencode was started says nothing.
    const file = resolve(directory, options.database ?? outboxFile(process.env))
    const found = processes().get(file) ?? new PluginProcess(file, options, seams)
    processes().set(file, found)
    return found
  }

  /** Nothing may be shared of this directory any more: what its instances still have in hand is given up. */
  static retire(directory: string): void {
    for (const known of processes().values()) known.#instances.delete(directory)
  }

  add(directory: string, instance: PluginInstance): void {
    PluginProcess.retire(directory)
    this.#instances.set(directory, instance)
    if (!this.#places.includes(directory)) this.#places.push(directory)
  }

  /** The one that lives: with the options that opencode was configured with last. */
  at(directory: string): PluginInstance | undefined {
    return this.#instances.get(directory)
  }

  configuredAt(directory: string): string | undefined {
    return this.#configured.get(directory)
  }

  configure(directory: string, endpoint: string): void {
    this.#configured.set(directory, endpoint)
  }

  /** What is configured where our gateway's address stands, as a plugin that was set up before has put it there. */
  behind(url: string): string | undefined {
    const place = this.#places.findIndex((_, index) => this.#gateway?.urlFor(String(index)) === url)
    return this.#configured.get(this.#places[place] ?? "")
  }

  /** Opened when it is first needed. @throws SturdyError as `openOutbox` */
  get outbox(): Outbox {
    if (this.#outbox) return this.#outbox
    const now = this.seams.clock.monotonic()
    if (this.#failed && now - this.#failed.at < reopen_ms) throw this.#failed.error
    try {
      return (this.#outbox = this.#open())
    } catch (error) {
      this.#failed = { at: now, error }
      throw error
    }
  }

  /** Where opencode's client shares for this directory. @throws what the system throws if there is no port to be had */
  gatewayUrl(directory: string): string {
    if (!this.#gateway) {
      exceptLoopbackFromProxies(process.env)
      const hostAt = (place: string) => this.#instances.get(this.#places[Number(place)] ?? "")
      this.#gateway = openGateway(hostAt, this.seams.random)
    }
    return this.#gateway.urlFor(String(this.#places.indexOf(directory)))
  }

  /** A user named this service. */
  name(service: string): void {
    this.#named.add(service)
  }

  /** opencode's event log; undefined where it cannot be read. */
  get log(): EventLog | undefined {
    const path = opencodeDatabase(process.env)
    if (this.#log?.isChanged) {
      // A newer opencode has migrated it meanwhile: looked at again, whether it is still known here.
      this.#log[Symbol.dispose]()
      this.#log = undefined
    }
    return (this.#log ??= path === undefined ? undefined : EventLog.open(path))
  }

  /** Sends what is pending, for at most so long. Never rejects. */
  async flush(limit_ms: number): Promise<void> {
    if (!this.#outbox) return
    const { promise, resolve } = Promise.withResolvers<void>()
    // Held: opencode waits for nothing else any more.
    const timer = this.seams.clock.timer(limit_ms, resolve, true)
    this.#outbox.flush().then(
      () => resolve(),
      () => resolve(),
    )
    await promise
    timer.cancel()
  }

  #open(): Outbox {
    const { transport, serviceKey } = this.options
    const outbox = openOutbox(this.file, {
      damaged: "quarantine",
      protocols: protocols[transport],
      headers: ({ service }) =>
        serviceKey !== undefined && this.#named.has(service) ? { "sturdy-service-key": serviceKey } : {},
      resync: (stream) => this.#resync(stream),
      seams: this.seams,
    })
    this.notices.follow(outbox)
    outbox.on("blocked", ({ stream, reason }) => {
      if (stream === undefined) return
      for (const instance of this.#instances.values()) instance.hearBlock(sessionOf(stream), reason)
    })
    return outbox
  }

  /** By whoever has the session's directory; if it is not open, the hook is called again later. */
  async #resync(stream: Stream): Promise<void> {
    const session_id = sessionOf(stream.name)
    const directory = this.log?.directoryOf(session_id)
    const owners = [...this.#instances.entries()].filter(([at]) => directory === undefined || directory === at)
    const compared = await Promise.all(owners.map(([, instance]) => instance.sync.compare(session_id)))
    if (compared.includes(true)) return
    throw new SturdyError("stream_unknown", `no open directory told of session ${session_id}`, "Open its directory.")
  }

  #tell(notice: Notice): void {
    const client = [...this.#instances.values()].at(-1)?.client
    if (client) tellOpencode(client, notice)
  }
}
