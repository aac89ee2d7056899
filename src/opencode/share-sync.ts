/**
 * The sharing of opencode's sessions over one outbox, whoever the host is: events in, shares made and removed, what was
 * missed caught up. A host gives it opencode's client and its event log, if it has them.
 */
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import type { Outbox, RecordInput, Stream } from "../index.ts"
import { catchUp, type StateOp } from "./catch-up.ts"
import { childShares, shareChild } from "./child-shares.ts"
import { type BusEvent, isOpencodeId, isRecord } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { LiveText } from "./live-text.ts"
import { checked, isComplete } from "./log-check.ts"
import { mapEvent, type MappedOp } from "./map-event.ts"
import { SessionModels } from "./session-models.ts"
import type { Notices } from "./notice.ts"
import { type Redact, shared } from "./redact.ts"
import { Repeated } from "./repeated.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"
import { SessionShares } from "./session-shares.ts"
import { isOrphaned, isOwned, turnNote } from "./turn-owner.ts"
import { Turns } from "./turns.ts"

export interface ShareSyncOptions {
  outbox: Outbox
  clock: Clock
  notices: Notices
  source: SessionSource
  /** Undefined if opencode's database is not there, or not of a form that is known here. */
  log: () => EventLog | undefined
  /** Sessions of other directories are left alone; undefined: there are none. */
  directory?: string | undefined
  redact?: Redact | undefined
  /** Children of a shared session get shares of their own. */
  children?: boolean | undefined
  /** Between two checkpoints of a text that is being written, ms; undefined: none. */
  liveTextMs?: number | undefined
}

export class ShareSync {
  readonly shares: SessionShares
  readonly #options: ShareSyncOptions
  readonly #liveText: LiveText | undefined
  readonly #models: SessionModels
  readonly #catchUps: Repeated
  /** Sessions whose states are to be compared, whatever the log says. */
  readonly #owed = new Set<string>()

  constructor(options: ShareSyncOptions) {
    const { outbox, clock, liveTextMs, notices } = options
    this.#options = options
    this.shares = new SessionShares(outbox)
    this.#liveText = liveTextMs === undefined ? undefined : new LiveText(clock, liveTextMs)
    this.#models = new SessionModels(outbox)
    this.#catchUps = new Repeated(clock, {
      run: (session_id) => this.#catchUp(session_id),
      failed: (error) => {
        // opencode goes down, or is not up yet: it is asked again.
        if (error instanceof SourceSilent || isClosed(error)) return
        notices.once(`catch-up ${codeOf(error)}`, { level: "error", message: `a catch-up failed: ${textOf(error)}` })
      },
    })
  }

  /**
   * Records what a bus event says of a session that is shared. Synchronous: committed when it returns. Never throws;
   * what could not be recorded is found by a catch-up, which is tried until it succeeds.
   */
  hear(event: BusEvent): void {
    const session_id = sessionIdOf(event)
    if (session_id === undefined) return
    try {
      this.#hear(event, session_id)
    } catch (error) {
      if (isClosed(error)) return
      this.#options.notices.once(`record ${codeOf(error)}`, {
        level: "error",
        message: `an event was not recorded (${textOf(error)}); it is caught up later`,
      })
      this.#catchUps.want(session_id)
    }
  }

  /** Looks for what was missed, and repairs it; resolves when it is done, whatever comes of it. */
  lookAfter(session_id: string): Promise<void> {
    return this.#catchUps.want(session_id)
  }

  /** The same, and takes opencode's event log for no answer: the stream's own memory may be the one that is wrong. */
  compare(session_id: string): Promise<void> {
    this.#owed.add(session_id)
    return this.#catchUps.want(session_id)
  }

  /**
   * Removes the session's share, and those that were made for its children. On disk when it returns.
   *
   * @throws SturdyError as `Stream.remove`
   */
  remove(session_id: string): void {
    for (const stream of childShares(this.shares, session_id)) stream.remove()
    this.shares.current(session_id)?.remove()
  }

  #hear(event: BusEvent, session_id: string): void {
    const { outbox } = this.#options
    const stream = this.shares.current(session_id) ?? this.#shareOfChild(event, session_id)
    if (!stream) return
    if (event.type === "message.part.delta") return this.#hearDelta(event, session_id, stream)
    if (event.type === "session.idle") return void this.#catchUps.want(session_id)
    const mapped = mapEvent(event)
    if (mapped.kind === "removed") return this.remove(session_id)
    if (mapped.kind !== "ops" || mapped.ops.length === 0) return
    const ops = mapped.ops.map((op) => this.prepare(session_id, op))
    const turn = mapped.ops.find((op) => op.method === "turn.put")?.args[0]
    const bookmark = turn && turnNote(outbox, session_id, String(turn.message_id), turn.state === "streaming")
    this.shares.record(stream, ops, bookmark)
    const { part, info } = event.properties
    if (isRecord(part)) this.#liveText?.begin(part)
    if (isRecord(info) && this.#models.isNew(stream, info)) void this.compare(session_id)
  }

  /** A child of a shared session has just begun. */
  #shareOfChild({ type, properties }: BusEvent, session_id: string): Stream | undefined {
    if (!this.#options.children || type !== "session.created" || !isRecord(properties.info)) return
    const { parentID } = properties.info
    return isOpencodeId(parentID) ? shareChild(this.shares, session_id, parentID) : undefined
  }

  /** Those that began while nobody looked. */
  async #shareChildren(session_id: string): Promise<void> {
    for (const child of await this.#options.source.children(session_id)) {
      if (!isOpencodeId(child) || this.shares.current(child)) continue
      if (shareChild(this.shares, child, session_id)) void this.compare(child)
    }
  }

  #hearDelta(event: BusEvent, session_id: string, stream: Stream): void {
    const part = this.#liveText?.hear(event)
    if (!part) return
    const checkpoint = { id: event.id, type: "message.part.updated", properties: { sessionID: session_id, part } }
    const mapped = mapEvent(checkpoint)
    if (mapped.kind !== "ops") return
    // An event of its own: the delta is no durable event, and its id names nothing that a catch-up would look for.
    for (const op of mapped.ops) stream.record(this.prepare(session_id, op))
  }

  /** The op as it is shared. What is dropped is noted as captured, so that nobody looks for it. */
  prepare(session_id: string, op: StateOp | MappedOp): RecordInput {
    const value = shared({ session_id, method: op.method, value: op.args[0] }, this.#options.redact)
    return value ? { ...op, args: [value] } : { ...op, stale: true }
  }

  async #catchUp(session_id: string): Promise<void> {
    const { outbox, source, clock, directory, children } = this.#options
    const stream = this.shares.current(session_id)
    if (!stream) return
    const turns = new Turns(clock)
    const turn = () => turns.take()
    const isOwed = this.#owed.has(session_id)
    const log = this.#options.log()
    if (log && directory !== undefined && (log.directoryOf(session_id) ?? directory) !== directory) return
    const isSuspect = isOwed || isOrphaned(outbox, session_id)
    if (log && !isSuspect && (await isComplete(outbox, log, session_id, stream, turn))) return
    const seq = log?.lastSeq(session_id)
    const known = stream.items()
    const info = await source.info(session_id)
    // Deleted where this plugin was not: both must say so before a share is removed for ever.
    if (!info) return log && log.directoryOf(session_id) === undefined ? this.remove(session_id) : undefined
    if (directory !== undefined && info.directory !== directory) return
    const messages = await source.messages(session_id)
    const diff = await source.diff(session_id)
    const prepare = (op: StateOp) => this.prepare(session_id, op)
    const owned = (message_id: string) => isOwned(outbox, session_id, message_id)
    const parts = { outbox, stream, session_id, prepare, isOwned: owned, turn }
    const touched = await catchUp(parts, known, { info, messages, diff })
    const { ops, told } = await this.#models.puts(stream, messages, isOwed, source)
    for (const op of ops) stream.record(prepare(op))
    told()
    if (children) await this.#shareChildren(session_id)
    // What changed while it was looked at is looked at again: its events tell of what changed, not of what lies beside.
    if (touched) return void clock.timer(touched_ms, () => void this.compare(session_id), false)
    this.#owed.delete(session_id)
    if (seq !== undefined) checked(outbox, stream, seq)
    if (isOrphaned(outbox, session_id)) outbox.unit(() => {}, { bookmark: turnNote(outbox, session_id, "", false) })
  }
}

/** Until a session that changed while it was compared is compared again, ms: a turn that streams goes on for longer. */
const touched_ms = 500

/** The session that an event is about, if it is of a kind that is heard: most events of a bus are not. */
function sessionIdOf(event: BusEvent): string | undefined {
  if (!heard.has(event.type)) return
  const session_id = event.properties.sessionID
  return isOpencodeId(session_id) ? session_id : undefined
}

const heard: ReadonlySet<string> = new Set([
  "session.created",
  "session.updated",
  "session.deleted",
  "session.diff",
  "session.idle",
  "message.updated",
  "message.removed",
  "message.part.updated",
  "message.part.removed",
  "message.part.delta",
])

/** Its share was removed meanwhile: nothing of it is shared any more. */
function isClosed(error: unknown): boolean {
  return error instanceof SturdyError && error.code === "stream_closed"
}

function codeOf(error: unknown): string {
  return error instanceof SturdyError ? error.code : error instanceof Error ? error.name : typeof error
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
