/**
 * The source-linked form: in the place of opencode's own share client (ShareNext), with its three calls. For a host that
 * is built from opencode's source, or anything with its events.
 */
import {
  openOutbox,
  SturdyError,
  type HostDatabase,
  type Outbox,
  type OutboxOptions,
  type Protocol,
  type Stream,
} from "../index.ts"
import { systemClock } from "../intent/system.ts"
import { type BusEvent, isOpencodeId, isRecord } from "./event.ts"
import type { ShareInfo } from "./gateway.ts"
import { checkLink } from "./link-check.ts"
import { type Notice, Notices } from "./notice.ts"
import { serviceEndpoint } from "./plugin-options.ts"
import type { Redact } from "./redact.ts"
import { sessionOf } from "./session-shares.ts"
import { isMessage, SourceSilent } from "./session-source.ts"
import { shareInfo } from "./share-info.ts"
import { ShareSync } from "./share-sync.ts"

type Maybe<T> = T | Promise<T>

/** The host's own sessions, for what must be caught up, and for what is there when a session is shared. */
export interface HostSessions {
  /** Undefined if there is no such session: its share is removed if it was there before. */
  get(session_id: string): Maybe<object | undefined>
  /** With their parts, oldest first. */
  messages(session_id: string): Maybe<{ info: object; parts: object[] }[]>
  diff?(session_id: string): Maybe<object[] | undefined>
  /** Ids of the children. */
  children?(session_id: string): Maybe<string[]>
}

export interface ShareSyncLink {
  /**
   * A file of its own, tables in the host's database, or an outbox that the host has opened, with headers, protocols and
   * a `resync` hook of its own: `resync: (stream) => sync.resync(stream)`.
   */
  outbox: string | HostDatabase | Outbox
  /** Origin of the share service, or its Cap'n Web endpoint. It takes ids that are made here. */
  service: string
  headers?: OutboxOptions["headers"]
  /** @default [rpc] */
  protocols?: readonly Protocol[]
  /** What opencode knows of a model; its options and headers never leave. Without it shares name no models. */
  model?(provider_id: string, model_id: string): Maybe<object | undefined>
  sessions: HostSessions
  redact?: Redact
  /** Sessions that a shared session starts get shares of their own. @default false */
  children?: boolean
  /** Between two checkpoints of a text that is being written, ms. @default none */
  liveTextMs?: number
  /** Told of each change of state, in one line. */
  notify?(notice: Notice): void
}

/** Every event of the bus, called in its order, right after the change that it announces was committed. */
export interface EventBus {
  subscribeAll(listener: (event: BusEvent) => void): unknown
}

export interface LinkedShareSync {
  readonly outbox: Outbox
  /** Begins to record, and looks for what was missed since the last process. */
  init(bus: EventBus): void
  /**
   * The session's share, made if there is none: offline too. Committed when it resolves.
   *
   * @throws SturdyError `invalid_argument`, and as `Outbox.stream`
   */
  create(session_id: string): Promise<ShareInfo>
  /** Committed when it resolves; removed when its service can be reached. */
  remove(session_id: string): Promise<void>
  /** Records the session's state again: the `resync` hook of an outbox that the host has opened. Rejects if it cannot. */
  resync(stream: Stream): Promise<void>
}

/**
 * @throws SturdyError `invalid_argument`, and as `openOutbox`.
 */
export function shareSync(link: ShareSyncLink): LinkedShareSync {
  checkLink(link)
  const service = serviceEndpoint(link.service)
  const notices = new Notices((notice) => tell(link, notice))
  const resync = (stream: Stream) => sync.resync(sessionOf(stream.name))
  const outbox = opened(link, resync)
  notices.follow(outbox)
  const sync: ShareSync = new ShareSync({
    outbox,
    clock: systemClock,
    notices,
    source: sourceOf(link),
    log: () => undefined,
    redact: link.redact,
    children: link.children,
    liveTextMs: link.liveTextMs,
  })
  return {
    outbox,
    init(bus) {
      bus.subscribeAll((event) => sync.hear(event))
      for (const { session_id } of sync.shares.all()) void sync.look(session_id)
    },
    async create(session_id) {
      if (!isOpencodeId(session_id))
        throw new SturdyError("invalid_argument", "the session's id is none of opencode's", 'It holds no "/".')
      const { stream, isNew } = sync.share(session_id, service)
      if (isNew) void sync.compare(session_id)
      return shareInfo(outbox, stream)
    },
    async remove(session_id) {
      if (isOpencodeId(session_id)) sync.remove(session_id)
    },
    resync,
  }
}

/** What the host does with it, and what fails there, is its own affair: a bus, or a catch-up, is what called. */
function tell({ notify }: ShareSyncLink, notice: Notice): void {
  // Async: what it throws, and what it returns that is rejected, end here alike.
  const said = async () => notify?.(notice)
  said().catch(() => {})
}

function opened(link: ShareSyncLink, resync: (stream: Stream) => Promise<void>): Outbox {
  const { outbox, headers, protocols } = link
  if (typeof outbox === "object" && "stream" in outbox) return outbox
  return openOutbox(outbox, { resync, ...(headers && { headers }), ...(protocols && { protocols }) })
}

function sourceOf({ sessions, model }: ShareSyncLink) {
  return {
    isAuthority: true,
    async info(session_id: string) {
      const info = await sessions.get(session_id)
      if (info === undefined || isRecord(info)) return info
      throw new SourceSilent(`sessions.get answered no object for ${session_id}`)
    },
    async messages(session_id: string) {
      const messages: unknown = await sessions.messages(session_id)
      if (Array.isArray(messages) && messages.every(isMessage)) return messages
      throw new SourceSilent(`sessions.messages answered no list of { info, parts } for ${session_id}`)
    },
    async diff(session_id: string) {
      const diff: unknown = await sessions.diff?.(session_id)
      return Array.isArray(diff) ? diff : undefined
    },
    async children(session_id: string) {
      const children: unknown = await sessions.children?.(session_id)
      return Array.isArray(children) ? children : []
    },
    async model({ provider_id, model_id }: { provider_id: string; model_id: string }) {
      const known: unknown = await model?.(provider_id, model_id)
      return isRecord(known) ? known : undefined
    },
  }
}
