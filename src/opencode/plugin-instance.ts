/** The plugin in one directory of opencode: its sessions, its client, the service that its shares go to. */
import { SturdyError } from "../intent/error.ts"
import { noteAsked, wasAbandoned } from "./asked-share.ts"
import type { Outbox, Stream } from "../index.ts"
import { Adoption } from "./adoption.ts"
import { adoptToRemove } from "./foreign-share.ts"
import { ClientSource, type OpencodeClient } from "./client.ts"
import { type BusEvent, isRecord } from "./event.ts"
import { type GatewayHost, isGatewayUrl, type ShareInfo } from "./gateway.ts"
import { serviceEndpoint, type PluginOptions } from "./plugin-options.ts"
import { type PluginProcess, reopen_ms } from "./plugin-process.ts"
import type { Redact } from "./redact.ts"
import { shareId, shareInfo, whenKnown } from "./share-info.ts"
import type { Rules } from "./share-rules.ts"
import { ShareSync } from "./share-sync.ts"

/** Where opencode's own client shares unless it is told otherwise. */
const default_service = "https://opncd.ai"

/** Blocks that a key, another service, or another network lifts. */
const mendable: ReadonlySet<string> = new Set(["scope_denied", "unsupported"])

/** How long opencode's caller waits where only the service can say the URL; and where it can be foreseen, ms. */
const url_wait_ms = { made_there: 10_000, foreseen: 1_000 }

/** A day: a URL that was foreseen wrongly is put right when the service answers within it, ms. */
const correction_ms = 24 * 3_600_000

export interface PluginInstanceParts {
  directory: string
  /** Undefined outside of a project: opencode calls all of that by one name. */
  project_id: string | undefined
  client: OpencodeClient
  options: PluginOptions
  redact: Redact | undefined
  /** Fingerprint of `redact`. */
  rules: Rules
}

export class PluginInstance implements GatewayHost {
  readonly client: OpencodeClient
  #sync: ShareSync | undefined

  constructor(
    readonly host: PluginProcess,
    readonly parts: PluginInstanceParts,
  ) {
    this.client = parts.client
  }

  /** @throws SturdyError as `openOutbox`, as long as the outbox cannot be opened. */
  get sync(): ShareSync {
    const { host, parts } = this
    return (this.#sync ??= new ShareSync({
      outbox: host.outbox,
      clock: host.seams.clock,
      notices: host.notices,
      source: new ClientSource(parts.client),
      log: () => host.log,
      directory: parts.directory,
      project_id: parts.project_id,
      isOver: () => !this.isCurrent,
      redact: parts.redact,
      rules: parts.rules,
      children: parts.options.children,
      liveTextMs: parts.options.liveTextMs,
    }))
  }

  get #adoption(): Adoption {
    const { host, parts } = this
    return new Adoption({
      sync: this.sync,
      directory: parts.directory,
      clock: host.seams.clock,
      notices: host.notices,
      log: () => host.log,
      services: () => [parts.options.service, host.configuredAt(parts.directory)],
      isCurrent: () => this.isCurrent,
    })
  }

  /** The service says of a share that it is gone, or stands with it. */
  hearBlock(session_id: string, reason: string): void {
    if (reason === "share_removed") this.#try(() => this.#adoption.removedThere(session_id))
  }

  /** False once another one has taken its place: what it has in hand would be shared by options that are over. */
  get isCurrent(): boolean {
    return this.host.at(this.parts.directory) === this
  }

  /**
   * `url`: `enterprise.url` of opencode's configuration, if there is one.
   *
   * @throws SturdyError `invalid_argument` if it is no URL, or the gateway of an opencode that is no more
   */
  configure(url: unknown): void {
    const { host, parts } = this
    const { directory, options } = parts
    if (options.service !== undefined) host.name(options.service)
    if (isGatewayUrl(url)) {
      const behind = host.behind(url)
      if (behind !== undefined) host.configure(directory, behind)
      else if (options.service === undefined)
        throw new SturdyError(
          "invalid_argument",
          "enterprise.url is the address that an earlier opencode had for itself, and not of a share service",
          "Put your service there, or take it out.",
        )
      return
    }
    const endpoint = serviceEndpoint(url ?? default_service)
    host.configure(directory, endpoint)
    if (url !== undefined) host.name(endpoint)
  }

  /** Begins with what happened while this plugin was not there. As long as the outbox cannot be opened, again later. */
  start(): void {
    if (!this.isCurrent) return
    try {
      this.#adoption.adoptAll()
      this.#removeAbandoned()
      for (const { session_id, stream } of this.sync.shares.all()) {
        this.#tryAgain(stream)
        void this.sync.look(session_id)
      }
      this.#tellMoved()
    } catch (error) {
      this.failed(error)
      this.host.seams.clock.timer(reopen_ms, () => this.start(), false)
    }
  }

  hear(event: BusEvent): void {
    this.sync.hear(event)
    const { info } = event.properties
    if (event.type !== "session.updated" || !isRecord(info) || !isRecord(info.share)) return
    if (!this.sync.shares.current(String(info.id))) this.#adoption.adoptAll()
  }

  async create(session_id: string): Promise<ShareInfo> {
    const noteAnswer = noteAsked(this.host.outbox, session_id)
    try {
      return await this.#create(session_id)
    } finally {
      this.#try(noteAnswer)
    }
  }

  async #create(session_id: string): Promise<ShareInfo> {
    const { outbox, seams } = this.host
    const service = this.#service
    // opencode's own service speaks its own REST, and may answer anything to what it does not know.
    const protocol = service === serviceEndpoint(default_service) ? "rest" : undefined
    const { stream, isNew } = this.sync.share(session_id, service, protocol)
    if (isNew) this.sync.begin(session_id)
    const isForeseen = this.#takesIds(stream)
    if (isForeseen && stream.status().protocol !== undefined) return shareInfo(outbox, stream)
    const limit_ms = isForeseen ? url_wait_ms.foreseen : url_wait_ms.made_there
    const isKnown = await whenKnown(outbox, stream, { limit_ms, patient: false, clock: seams.clock })
    if (isKnown || isForeseen) return this.#told(session_id, stream)
    // Who asked is told that it failed: it must not be made later, behind his back.
    if (isNew) stream.remove()
    throw new SturdyError(
      "flusher_stopped",
      `session ${session_id} is not shared: its service makes the URL itself, and does not answer`,
      "Share again when it does.",
    )
  }

  removeShare(id: string, secret: string | undefined): void {
    if (this.#removeOurs(id)) return
    // Before the first look at what opencode knows, the share may be one that was made before this plugin came.
    const session_id = this.#adoptedNow(id)
    if (this.#removeOurs(id)) return
    // Shared anew by an opencode without the plugin: the share that we know of is meant as well.
    if (session_id !== undefined) this.sync.remove(session_id)
    const { outbox } = this.sync.shares
    const configured = this.host.configuredAt(this.parts.directory)
    if (secret !== undefined && configured !== undefined && !isRemoved(outbox, id))
      adoptToRemove(outbox, { id, secret }, configured)
  }

  /** Somebody who starts opencode anew may have mended what a share stands for: it is not left to the next probe. */
  #tryAgain(stream: Stream): void {
    if (mendable.has(stream.status().block?.reason ?? "")) this.host.notices.quietly(() => void stream.unblock())
  }

  /** A share stays where it was made. */
  #tellMoved(): void {
    const { service } = this.parts.options
    const { directory } = this.parts
    const elsewhere = this.sync.shares
      .all()
      .filter(({ session_id, stream }) => {
        return stream.status().service !== service && this.host.log?.directoryOf(session_id) === directory
      })
      .map(({ session_id }) => session_id)
    if (service === undefined || elsewhere.length === 0) return
    this.host.notices.once(`moved ${service}`, {
      level: "warn",
      message: `shared at another service than ${service}, and kept up to date there: ${elsewhere.join(", ")}. To move one, unshare it and share it again`,
    })
  }

  /** What is good to have done, and no reason to fail. */
  #try(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.failed(error)
    }
  }

  /** Of shares that opencode was told of, its database knows. */
  #removeAbandoned(): void {
    const { outbox, log } = this.host
    const known = log && new Set(log.shares().map(({ id }) => id))
    for (const { session_id, stream } of this.sync.shares.all()) {
      if (!wasAbandoned(outbox, session_id)) continue
      const isTold = known ? known.has(shareId(stream)) : stream.status().url !== undefined
      if (!isTold) this.sync.remove(session_id)
    }
  }

  #removeOurs(id: string): boolean {
    const found = this.sync.shares.all().find(({ stream }) => shareId(stream) === id)
    if (found) this.sync.remove(found.session_id)
    return found !== undefined
  }

  /** The session that has this share by opencode's word. What its database cannot answer stops no removal. */
  #adoptedNow(id: string): string | undefined {
    try {
      this.#adoption.adoptAll()
      return this.host.log?.shares().find((share) => share.id === id)?.session_id
    } catch (error) {
      this.failed(error)
      return
    }
  }

  failed(error: unknown): void {
    this.host.notices.failed("sharing failed", error)
  }

  get #service(): string {
    const service = this.parts.options.service ?? this.host.configuredAt(this.parts.directory)
    if (service !== undefined) return service
    throw new SturdyError("invalid_argument", "no share service is known yet", "Share again in a moment.")
  }

  /** Does the service take ids that were made here, so that it needs not be asked for the URL? */
  #takesIds(stream: Stream): boolean {
    const { protocol } = stream.status()
    if (protocol !== undefined) return protocol !== "rest"
    // Nothing was ever heard of it: whoever names a service to this plugin means one of Sturdy's.
    const { service, transport } = this.parts.options
    return transport === "auto" ? service !== undefined : transport !== "rest"
  }

  /** What opencode is told now; if the service says another URL later, opencode asks again, and shows that one. */
  #told(session_id: string, stream: Stream): ShareInfo {
    const { outbox, seams } = this.host
    const info = shareInfo(outbox, stream)
    if (stream.status().url === undefined)
      void whenKnown(outbox, stream, { limit_ms: correction_ms, patient: true, clock: seams.clock }).then(
        async (isKnown) => {
          if (isKnown && !stream.isRemoved && shareInfo(outbox, stream).url !== info.url)
            await this.client.session?.share?.({ path: { id: session_id } }).catch(() => {})
        },
      )
    return info
  }
}

/** Is it, or was it, a share of this outbox, whose removal is written down? */
function isRemoved(outbox: Outbox, id: string): boolean {
  return outbox.streams().some((stream) => shareId(stream) === id)
}
