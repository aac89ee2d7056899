/**
 * The sharing of opencode's sessions over one outbox, whoever the host is: events in, shares made and removed, what was
 * missed caught up. A host gives it opencode's client and its event log, if it has them.
 */
import type { Clock } from "../intent/seam.ts"
import { type Outbox, type RecordInput, type Stream, SturdyError } from "../index.ts"
import type { StateOp } from "./catch-up.ts"
import { canonical } from "./canonical.ts"
import { childShares, shareChild } from "./child-shares.ts"
import { type BusEvent, isOpencodeId, isRecord } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { LiveText } from "./live-text.ts"
import { mapEvent, type MappedOp, removalInstead } from "./map-event.ts"
import { inFittingSize, type Size } from "./fit.ts"
import type { Notices } from "./notice.ts"
import { type Redact, shared, type SharedOp } from "./redact.ts"
import { isClosed, SessionCatchUp } from "./session-catch-up.ts"
import { notedRules, noteRules, type Rules } from "./share-rules.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"
import { SessionShares } from "./session-shares.ts"
import { RunningTurns, turnNote } from "./turn-owner.ts"

export interface ShareSyncOptions {
  outbox: Outbox
  clock: Clock
  notices: Notices
  source: SessionSource
  /** Undefined if opencode's database is not there, or not of a form that is known here. */
  log: () => EventLog | undefined
  /** Sessions of other directories are left alone; undefined: there are none. */
  directory?: string | undefined
  /** opencode's name of the project to which the directory belongs. */
  project_id?: string | undefined
  /** Another one shares these sessions now, by other options: what is in hand is given up. */
  isOver?: (() => boolean) | undefined
  redact?: Redact | undefined
  /** Fingerprint of `redact`: a share is told by one set of rules. Undefined: the host sees to it. */
  rules?: Rules | undefined
  /** Children of a shared session get shares of their own. */
  children?: boolean | undefined
  /** Between two checkpoints of a text that is being written, ms; undefined: none. */
  liveTextMs?: number | undefined
}

/** Until a removal that could not be written down is tried again, ms. */
const remove_again_ms = 1_000

/** Blocks that no waiting ends: whoever shares again wants another share. */
const final: ReadonlySet<string> = new Set(["share_removed", "revoked", "expired"])

export class ShareSync {
  readonly shares: SessionShares
  readonly #options: ShareSyncOptions
  readonly #liveText: LiveText | undefined
  readonly #turns = new RunningTurns()
  readonly #catchUp: SessionCatchUp

  constructor(options: ShareSyncOptions) {
    const { outbox, clock, notices, source, log, directory, children, liveTextMs } = options
    this.#options = options
    this.shares = new SessionShares(outbox)
    this.#liveText = liveTextMs === undefined ? undefined : new LiveText(clock, liveTextMs)
    this.#catchUp = new SessionCatchUp({
      outbox,
      clock,
      notices,
      source,
      log,
      directory,
      project_id: options.project_id,
      rules: options.rules,
      isOver: options.isOver ?? (() => false),
      shares: this.shares,
      children: children ?? false,
      runningTurns: (session_id) => this.#turns.of(session_id),
      prepare: (session_id, op, size) => this.#prepare(session_id, op, size),
      remove: (session_id) => this.remove(session_id),
    })
  }

  /**
   * Records what a bus event says of a session that is shared. Synchronous: committed when it returns. Never throws;
   * what could not be recorded is found by a catch-up, which is tried until it succeeds.
   */
  hear(event: BusEvent): void {
    let session_id: string | undefined
    try {
      session_id = sessionIdOf(event)
      if (session_id !== undefined) this.#hear(event, session_id)
    } catch (error) {
      if (isClosed(error)) return
      this.#options.notices.failed("an event was not recorded, and is caught up later", error)
      if (session_id === undefined) return
      // A session that is gone cannot be caught up everywhere.
      if (event.type === "session.deleted") this.#options.clock.timer(remove_again_ms, () => this.hear(event), false)
      else this.#catchUp.owe(session_id)
    }
  }

  /** After the session was shared here: everything that is there. */
  begin(session_id: string): void {
    this.#catchUp.goesOnHere(session_id)
    void this.compare(session_id)
  }

  /** Looks for what was missed, and repairs it. Resolves when it is done: false if it failed, and is tried again later. */
  look(session_id: string): Promise<boolean> {
    return this.#catchUp.look(session_id)
  }

  /** The same, without asking opencode's event log whether it is necessary. */
  compare(session_id: string): Promise<boolean> {
    return this.#catchUp.compare(session_id)
  }

  /** The same, for an outbox's `resync` hook: rejects if it could not be done, so that the hook is called again. */
  async resync(session_id: string): Promise<void> {
    if (!(await this.compare(session_id))) throw new SourceSilent(`the state of ${session_id} is not recorded yet`)
  }

  /**
   * The session's share: the one that it has, or a new one.
   *
   * @throws SturdyError as `Outbox.stream` and `Stream.remove`
   */
  share(session_id: string, service: string, protocol?: string): { stream: Stream; isNew: boolean } {
    const current = this.shares.current(session_id)
    if (current && final.has(current.status().block?.reason ?? "")) this.remove(session_id)
    const shared = this.shares.share(session_id, service, protocol)
    if (shared.isNew && this.#options.rules !== undefined)
      noteRules(this.#options.outbox, shared.stream, this.#options.rules)
    return shared
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
    this.#turns.hear(event, session_id)
    if (event.type === "message.part.delta" && !this.#liveText) return
    const stream = this.shares.current(session_id) ?? this.#shareOfChild(event, session_id)
    if (!stream || !this.#mayTell(session_id, stream)) return
    this.#catchUp.goesOnHere(session_id)
    if (event.type === "message.part.delta") return this.#hearDelta(event, session_id, stream)
    if (event.type === "session.idle") return void this.look(session_id)
    const mapped = mapEvent(event)
    if (mapped.kind === "removed") return this.remove(session_id)
    if (mapped.kind !== "ops" || mapped.ops.length === 0) return
    const turn = mapped.ops.find((op) => op.method === "turn.put")?.args[0]
    const bookmark =
      turn && turnNote(this.#options.outbox, session_id, String(turn.message_id), turn.state === "streaming")
    inFittingSize((size) =>
      this.shares.record(
        stream,
        mapped.ops.map((op) => this.#prepare(session_id, op, size)),
        bookmark,
      ),
    )
    const { part, info, messageID, partID } = event.properties
    if (isRecord(part)) this.#liveText?.begin(part)
    if (mapped.ops.some(({ method }) => method.endsWith(".remove"))) this.#liveText?.end(messageID, partID)
    if (isRecord(info) && this.#catchUp.models.isNew(stream, info)) void this.compare(session_id)
  }

  /** A session of another directory, with other rules, goes on here: its own directory tells of it, by its own. */
  #mayTell(session_id: string, stream: Stream): boolean {
    const { outbox, rules, directory, log, notices } = this.#options
    if (rules === undefined) return true
    const noted = notedRules(outbox, stream)
    if (noted === undefined || noted === rules) return true
    const lives = log()?.placeOf(session_id)?.directory
    if (lives === undefined || lives === directory) return true
    notices.once(`rules ${session_id}`, {
      level: "warn",
      message: `session ${session_id} is shared by the options of ${lives}: what it does here is shared when that is opened`,
    })
    return false
  }

  /** A child of a shared session has just begun. */
  #shareOfChild({ type, properties }: BusEvent, session_id: string): Stream | undefined {
    if (!this.#options.children || type !== "session.created" || !isRecord(properties.info)) return
    const { parentID } = properties.info
    return isOpencodeId(parentID) ? shareChild(this.shares, session_id, parentID) : undefined
  }

  #hearDelta(event: BusEvent, session_id: string, stream: Stream): void {
    const part = this.#liveText?.hear(event)
    if (!part) return
    const checkpoint = { id: event.id, type: "message.part.updated", properties: { sessionID: session_id, part } }
    const mapped = mapEvent(checkpoint)
    if (mapped.kind !== "ops") return
    // An event of its own: the delta is no durable event, and its id names nothing that a catch-up would look for.
    for (const op of mapped.ops) inFittingSize((size) => stream.record(this.#prepare(session_id, op, size)))
  }

  /**
   * The op as it is shared. What is dropped is noted as captured, so that nobody looks for it; what was told of it before
   * is removed.
   */
  #prepare(session_id: string, op: StateOp | MappedOp, size: Size): RecordInput {
    const value = this.#shared({ session_id, method: op.method, value: op.args[0] }, size)
    if (value) return { ...op, args: [value], onlyIfChanged: `${op.method} ${canonical(value)}` }
    const isTold = this.shares.current(session_id)?.latest(op.key) !== undefined
    const removal = isTold ? removalInstead(op) : undefined
    return removal ?? { ...op, stale: true }
  }

  /** Undefined also if the hook fails: one value that it cannot take must not hold up all others. */
  #shared(op: SharedOp, size: Size): Record<string, unknown> | undefined {
    try {
      return shared(op, this.#options.redact, size)
    } catch (error) {
      // Neither the value nor the text of what a hook throws: both may be what must not be seen.
      const kind = error instanceof Error ? error.name : typeof error
      const why = error instanceof SturdyError ? error.message : `redact threw ${kind}`
      const message = `${op.method} of ${op.session_id} is not shared: ${why}`
      this.#options.notices.once(`redact ${op.method} ${kind}`, { level: "error", message })
      return
    }
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
