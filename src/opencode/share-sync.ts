/**
 * The sharing of opencode's sessions over one outbox, whoever the host is: events in, shares made and removed, what was
 * missed caught up. A host gives it opencode's client and its event log, if it has them.
 */
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import type { Outbox, RecordInput, Stream } from "../index.ts"
import { catchUp, type StateOp } from "./catch-up.ts"
import { childShares, shareChild, wasSharedFor } from "./child-shares.ts"
import { type BusEvent, isOpencodeId, isRecord } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { LiveText } from "./live-text.ts"
import { checked, isComplete } from "./log-check.ts"
import { mapEvent, type MappedOp } from "./map-event.ts"
import { SessionModels } from "./session-models.ts"
import type { Notices } from "./notice.ts"
import { type Redact, shared, type SharedOp } from "./redact.ts"
import { Repeated } from "./repeated.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"
import { SessionShares } from "./session-shares.ts"
import { isOwned, ownTurn } from "./turn-owner.ts"
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
      run: (session_id) => this.#run(session_id),
      failed: (error) => {
        // opencode goes down, or is not up yet: it is asked again.
        if (error instanceof SourceSilent) return
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
      // Its share was removed meanwhile: nothing of it is shared any more.
      if (error instanceof SturdyError && error.code === "stream_closed") return
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

  /** The same, for an outbox's `resync` hook: rejects if it could not be done, so that the hook is called again. */
  async resync(session_id: string): Promise<void> {
    await this.compare(session_id)
    if (this.#owed.has(session_id)) throw new SourceSilent(`the state of ${session_id} could not be recorded yet`)
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
    const turn = mapped.ops.find((op) => op.method === "turn.put" && op.args[0].state === "streaming")
    const bookmark = turn && ownTurn(outbox, session_id, String(turn.args[0].message_id))
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
  async #shareChildren(session_id: string, stream: Stream): Promise<void> {
    for (const child of await this.#options.source.children(session_id)) {
      if (!isOpencodeId(child) || this.shares.current(child) || wasSharedFor(this.shares, child, stream)) continue
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
    const value = this.#shared({ session_id, method: op.method, value: op.args[0] })
    return value ? { ...op, args: [value] } : { ...op, stale: true }
  }

  /** Undefined also if the hook fails: one value that it cannot take must not hold up all others. */
  #shared(op: SharedOp): Record<string, unknown> | undefined {
    try {
      return shared(op, this.#options.redact)
    } catch (error) {
      // Neither the value nor the text of the error: both may be what must not be seen.
      const message = `${op.method} of ${op.session_id} is not shared: ${codeOf(error)} while it was made ready`
      this.#options.notices.once(`redact ${op.method} ${codeOf(error)}`, { level: "error", message })
      return
    }
  }

  /** Deleted while nobody heard. A share is removed for ever: it must be certain. */
  #isGone(session_id: string, log: EventLog | undefined, known: ReadonlyMap<string, string>): boolean {
    if (log) return log.directoryOf(session_id) === undefined
    // What was never recorded may be a session that is still to come, or a stream that is none of a session.
    return this.#options.source.isAuthority && (known.has("session") || [...known.keys()].some(isOfMessage))
  }

  /** What is owed when it ends came while it ran. */
  async #run(session_id: string): Promise<void> {
    const isOwed = this.#owed.delete(session_id)
    try {
      await this.#catchUp(session_id, isOwed)
    } catch (error) {
      if (isOwed) this.#owed.add(session_id)
      throw error
    }
  }

  async #catchUp(session_id: string, isOwed: boolean): Promise<void> {
    const { outbox, source, clock, directory, children } = this.#options
    const stream = this.shares.current(session_id)
    if (!stream) return
    const turns = new Turns(clock)
    const turn = () => turns.take()
    const log = this.#options.log()
    if (log && directory !== undefined && (log.directoryOf(session_id) ?? directory) !== directory) return
    if (log && !isOwed && (await isComplete(outbox, log, session_id, stream, turn))) return
    const seq = log?.lastSeq(session_id)
    const known = stream.items()
    const info = await source.info(session_id)
    if (!info) return this.#isGone(session_id, log, known) ? this.remove(session_id) : undefined
    if (directory !== undefined && info.directory !== directory) return
    const messages = await source.messages(session_id)
    const diff = await source.diff(session_id)
    const prepare = (op: StateOp) => this.prepare(session_id, op)
    const owned = (message_id: string) => isOwned(outbox, session_id, message_id)
    const parts = { outbox, stream, session_id, prepare, isOwned: owned, turn }
    await catchUp(parts, known, { info, messages, diff })
    const { ops, told } = await this.#models.puts(stream, messages, isOwed, source)
    for (const op of ops) stream.record(prepare(op))
    told()
    if (children) await this.#shareChildren(session_id, stream)
    if (seq !== undefined) checked(outbox, stream, seq)
  }
}

/** The session that an event is about, if it is of a kind that is heard: most events of a bus are not. */
function sessionIdOf(event: BusEvent): string | undefined {
  if (!isRecord(event) || !heard.has(event.type) || !isRecord(event.properties)) return
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

function isOfMessage(key: string): boolean {
  return key.startsWith("message/")
}

function codeOf(error: unknown): string {
  return error instanceof SturdyError ? error.code : error instanceof Error ? error.name : typeof error
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
