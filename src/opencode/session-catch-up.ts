/**
 * Looks after the sessions that are shared: is all of what opencode holds in the outbox? Asked when a process starts, when
 * a session is shared, when a turn ends, and when something could not be recorded. First the cheap questions, of opencode's
 * event log; states are compared where they are not answered by yes.
 */
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import type { Outbox, RecordInput, Stream } from "../index.ts"
import { catchUp, recordSession, type StateOp } from "./catch-up.ts"
import { isLeftOver, shareChild, wasSharedFor } from "./child-shares.ts"
import { isOpencodeId } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { inFittingSize, type Size } from "./fit.ts"
import { limited } from "./limited-source.ts"
import { checked, isComplete } from "./log-check.ts"
import type { Notices } from "./notice.ts"
import { Repeated } from "./repeated.ts"
import { SessionModels } from "./session-models.ts"
import { noteRules, notedRules, type Rules } from "./share-rules.ts"
import type { SessionShares } from "./session-shares.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"
import { isOrphaned, isOwned, turnNote, withoutDead } from "./turn-owner.ts"
import { Turns } from "./turns.ts"

/** Until a session that changed while it was compared is compared again, ms: a turn that streams goes on for longer. */
const touched_ms = 500

export interface SessionCatchUpParts {
  outbox: Outbox
  shares: SessionShares
  clock: Clock
  notices: Notices
  source: SessionSource
  log: () => EventLog | undefined
  directory: string | undefined
  /** By which shares are told here; undefined: nobody compares them. */
  rules: Rules | undefined
  /** Of the directory; undefined if it belongs to none. */
  project_id: string | undefined
  isOver: () => boolean
  children: boolean
  /** Ids of the messages at which this process works now. */
  runningTurns(session_id: string): readonly string[]
  /** The op as it is shared. */
  prepare(session_id: string, op: StateOp, size: Size): RecordInput
  /** The session is gone. */
  remove(session_id: string): void
}

export class SessionCatchUp {
  readonly models: SessionModels
  readonly #parts: SessionCatchUpParts
  readonly #runs: Repeated
  readonly #source: SessionSource
  /** Sessions whose states are to be compared, whatever the log says. */
  readonly #owed = new Set<string>()
  /** Sessions that go on in this directory, wherever they were made. */
  readonly #here = new Set<string>()

  constructor(parts: SessionCatchUpParts) {
    this.#parts = parts
    this.#source = limited(parts.source, parts.clock)
    this.models = new SessionModels(parts.outbox)
    this.#runs = new Repeated(parts.clock, {
      run: (session_id) => this.#run(session_id),
      failed: (error) => {
        // opencode goes down, or is not up yet: it is asked again.
        if (error instanceof SourceSilent || isClosed(error)) return
        parts.notices.failed("a catch-up failed and is tried again", error)
      },
    })
  }

  /** The session goes on here: it was shared here, or its events come from here. */
  goesOnHere(session_id: string): void {
    this.#here.add(session_id)
  }

  /** Looks for what was missed, and repairs it. Resolves when it is done: false if it failed, and is tried again later. */
  look(session_id: string): Promise<boolean> {
    return this.#runs.want(session_id)
  }

  /** The same, and takes opencode's event log for no answer: the stream's own memory may be the one that is wrong. */
  compare(session_id: string): Promise<boolean> {
    this.#owed.add(session_id)
    return this.#runs.want(session_id)
  }

  /** The same, in its time: something could not be recorded, and what comes next may fail as well. */
  owe(session_id: string): void {
    this.#owed.add(session_id)
    this.#runs.wantInTime(session_id)
  }

  /** True if all that is there is recorded, or the share is given up. */
  async #run(session_id: string): Promise<boolean> {
    const isOwed = this.#owed.delete(session_id)
    const stream = this.#parts.shares.current(session_id)
    if (!stream) return true
    if (this.#parts.isOver() || this.#livesElsewhere(session_id)) return false
    if (isLeftOver(this.#parts.shares, stream)) return this.#remove(session_id)
    try {
      return await this.#catchUp(session_id, stream, isOwed)
    } catch (error) {
      if (isOwed) this.#owed.add(session_id)
      throw error
    }
  }

  #remove(session_id: string): true {
    this.#parts.remove(session_id)
    return true
  }

  async #catchUp(session_id: string, stream: Stream, isOwed: boolean): Promise<boolean> {
    const { outbox, clock, children } = this.#parts
    const source = this.#source
    const turns = new Turns(clock)
    const prepare = (op: StateOp, size: Size) => {
      if (this.#parts.isOver()) throw new SourceSilent("another one shares this session now")
      return this.#parts.prepare(session_id, op, size)
    }
    const owned = (message_id: string) => isOwned(outbox, session_id, message_id)
    const parts = { outbox, stream, session_id, prepare, isOwned: owned, turn: () => turns.take() }
    const log = this.#parts.log()
    const isOver = isOrphaned(outbox, session_id)
    const seq = log?.lastSeq(session_id)
    if (log) this.#noteDatabase(session_id, log, stream)
    for (const message_id of this.#parts.runningTurns(session_id)) this.#noteTurn(session_id, message_id)
    const latest = stream.latest("session")
    const info = await source.info(session_id)
    if (!info) return this.#isGone(session_id, log, stream) && this.#remove(session_id)
    const { directory, projectID } = info
    if (!this.#isOurs(session_id, { directory, project_id: projectID })) return false
    const rules = this.#rulesFor(stream, directory)
    if (rules === "other") return false
    // opencode counts costs and tokens in it without announcing them.
    recordSession(parts, latest, info)
    const isSuspect = isOwed || isOver || rules === "changed"
    if (log && !isSuspect && (await isComplete(outbox, log, session_id, stream, parts.turn))) return true
    const known = stream.items()
    const messages = await source.messages(session_id)
    const diff = await source.diff(session_id)
    const touched = await catchUp(parts, known, { messages, diff })
    const { ops, told } = await this.models.puts(stream, messages, isOwed, source)
    for (const op of ops) inFittingSize((size) => stream.record(prepare(op, size)))
    told()
    if (children) await this.#shareChildren(session_id, stream)
    // Its events tell of what changed meanwhile, not of what lies beside.
    if (touched) {
      clock.timer(touched_ms, () => void this.compare(session_id), false)
      return false
    }
    if (seq !== undefined) checked(outbox, stream, seq)
    if (isOver) outbox.unit(() => {}, { bookmark: withoutDead(outbox, session_id) })
    if (rules === "changed") noteRules(outbox, stream, this.#parts.rules!)
    return true
  }

  /**
   * May what is recorded here be told by the rules of here? `changed`: the session is of this directory, and was told by
   * other rules. `other`: it is of another directory, with other rules.
   */
  #rulesFor(stream: Stream, sessionDirectory: unknown): "same" | "changed" | "other" {
    const { outbox, rules, directory } = this.#parts
    const noted = notedRules(outbox, stream)
    if (rules === undefined || noted === rules) return "same"
    if (directory === undefined || sessionDirectory === directory) return "changed"
    return noted === undefined ? "same" : "other"
  }

  /** Those that began while nobody looked. */
  async #shareChildren(session_id: string, stream: Stream): Promise<void> {
    const { shares } = this.#parts
    for (const child of await this.#source.children(session_id)) {
      if (!isOpencodeId(child) || shares.current(child) || wasSharedFor(shares, child, stream)) continue
      if (shareChild(shares, child, session_id)) void this.compare(child)
    }
  }

  /** Deleted while nobody heard. A share is removed for ever: it must be certain. */
  #isGone(session_id: string, log: EventLog | undefined, stream: Stream): boolean {
    const { outbox } = this.#parts
    if (log) return outbox.bookmark(databaseOf(stream))?.mark === log.path && log.directoryOf(session_id) === undefined
    // What was never recorded may be a session that is still to come, or a stream that is none of a session.
    return this.#parts.source.isAuthority && [...stream.items().keys()].some(isOfSession)
  }

  /** It may have begun before the session was shared. */
  #noteTurn(session_id: string, message_id: string): void {
    const { outbox } = this.#parts
    const bookmark = turnNote(outbox, session_id, message_id, true)
    if (bookmark) outbox.unit(() => {}, { bookmark })
  }

  /** In which database the session was seen: to be none of another one's says nothing of it. */
  #noteDatabase(session_id: string, log: EventLog, stream: Stream): void {
    const { outbox } = this.#parts
    const source = databaseOf(stream)
    const known = outbox.bookmark(source)
    if (known?.mark === log.path || log.directoryOf(session_id) === undefined) return
    outbox.unit(() => {}, { bookmark: { source, place: (known?.place ?? 0) + 1, mark: log.path } })
  }

  /** By the place at which it was made: this directory, or another one of its project in which it goes on here. */
  #isOurs(session_id: string, place: { directory?: unknown; project_id?: unknown }): boolean {
    const { directory, project_id } = this.#parts
    if (directory === undefined || place.directory === directory) return true
    return project_id !== undefined && place.project_id === project_id && this.#here.has(session_id)
  }

  #livesElsewhere(session_id: string): boolean {
    const place = this.#parts.directory === undefined ? undefined : this.#parts.log()?.placeOf(session_id)
    return place !== undefined && !this.#isOurs(session_id, place)
  }
}

function databaseOf(stream: Stream): string {
  return `opencode/database/${stream.name}`
}

/** Not only its info, which a hook may drop. */
function isOfSession(key: string): boolean {
  return key === "session" || key.startsWith("message/")
}

/** Its share was removed meanwhile: nothing of it is shared any more. */
export function isClosed(error: unknown): boolean {
  return error instanceof SturdyError && error.code === "stream_closed"
}
