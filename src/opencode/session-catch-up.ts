/**
 * Looks after the sessions that are shared: is all of what opencode holds in the outbox? Asked when a process starts, when
 * a session is shared, when a turn ends, and when something could not be recorded. First the cheap questions, of opencode's
 * event log; states are compared where they are not answered by yes.
 */
import { SturdyError } from "../intent/error.ts"
import type { Clock } from "../intent/seam.ts"
import type { Outbox, RecordInput, Stream } from "../index.ts"
import { catchUp, recordSession, type StateOp } from "./catch-up.ts"
import { shareChild, wasSharedFor } from "./child-shares.ts"
import { isOpencodeId } from "./event.ts"
import type { EventLog } from "./event-log.ts"
import { checked, isComplete } from "./log-check.ts"
import type { Notices } from "./notice.ts"
import { Repeated } from "./repeated.ts"
import { SessionModels } from "./session-models.ts"
import type { SessionShares } from "./session-shares.ts"
import { type SessionSource, SourceSilent } from "./session-source.ts"
import { isOrphaned, isOwned, turnNote } from "./turn-owner.ts"
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
  children: boolean
  /** The op as it is shared. */
  prepare(session_id: string, op: StateOp): RecordInput
  /** The session is gone. */
  remove(session_id: string): void
}

export class SessionCatchUp {
  readonly models: SessionModels
  readonly #parts: SessionCatchUpParts
  readonly #runs: Repeated
  /** Sessions whose states are to be compared, whatever the log says. */
  readonly #owed = new Set<string>()

  constructor(parts: SessionCatchUpParts) {
    this.#parts = parts
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

  /** Looks for what was missed, and repairs it. Resolves when it is done: false if it failed, and is tried again later. */
  look(session_id: string): Promise<boolean> {
    return this.#runs.want(session_id)
  }

  /** The same, and takes opencode's event log for no answer: the stream's own memory may be the one that is wrong. */
  compare(session_id: string): Promise<boolean> {
    this.#owed.add(session_id)
    return this.#runs.want(session_id)
  }

  async #run(session_id: string): Promise<void> {
    const stream = this.#parts.shares.current(session_id)
    if (!stream || this.#livesElsewhere(session_id)) return
    const isOwed = this.#owed.delete(session_id)
    try {
      await this.#catchUp(session_id, stream, isOwed)
    } catch (error) {
      if (isOwed) this.#owed.add(session_id)
      throw error
    }
  }

  async #catchUp(session_id: string, stream: Stream, isOwed: boolean): Promise<void> {
    const { outbox, source, clock, directory, children } = this.#parts
    const turns = new Turns(clock)
    const prepare = (op: StateOp) => this.#parts.prepare(session_id, op)
    const owned = (message_id: string) => isOwned(outbox, session_id, message_id)
    const parts = { outbox, stream, session_id, prepare, isOwned: owned, turn: () => turns.take() }
    const log = this.#parts.log()
    const isOver = isOrphaned(outbox, session_id)
    const seq = log?.lastSeq(session_id)
    const latest = stream.latest("session")
    const info = await source.info(session_id)
    if (!info) return this.#isGone(session_id, log, stream) ? this.#parts.remove(session_id) : undefined
    if (directory !== undefined && info.directory !== directory) return
    // opencode counts costs and tokens in it without announcing them.
    recordSession(parts, latest, info)
    if (log && !isOwed && !isOver && (await isComplete(outbox, log, session_id, stream, parts.turn))) return
    const known = stream.items()
    const messages = await source.messages(session_id)
    const diff = await source.diff(session_id)
    const touched = await catchUp(parts, known, { messages, diff })
    const { ops, told } = await this.models.puts(stream, messages, isOwed, source)
    for (const op of ops) stream.record(prepare(op))
    told()
    if (children) await this.#shareChildren(session_id, stream)
    // Its events tell of what changed meanwhile, not of what lies beside.
    if (touched) return void clock.timer(touched_ms, () => void this.compare(session_id), false)
    if (seq !== undefined) checked(outbox, stream, seq)
    if (isOver) outbox.unit(() => {}, { bookmark: turnNote(outbox, session_id, "", false) })
  }

  /** Those that began while nobody looked. */
  async #shareChildren(session_id: string, stream: Stream): Promise<void> {
    const { shares, source } = this.#parts
    for (const child of await source.children(session_id)) {
      if (!isOpencodeId(child) || shares.current(child) || wasSharedFor(shares, child, stream)) continue
      if (shareChild(shares, child, session_id)) void this.compare(child)
    }
  }

  /** Deleted while nobody heard. A share is removed for ever: it must be certain. */
  #isGone(session_id: string, log: EventLog | undefined, stream: Stream): boolean {
    if (log) return log.directoryOf(session_id) === undefined
    // What was never recorded may be a session that is still to come, or a stream that is none of a session.
    return this.#parts.source.isAuthority && [...stream.items().keys()].some(isOfSession)
  }

  #livesElsewhere(session_id: string): boolean {
    const { directory, log } = this.#parts
    if (directory === undefined) return false
    return (log()?.directoryOf(session_id) ?? directory) !== directory
  }
}

/** Not only its info, which a hook may drop. */
function isOfSession(key: string): boolean {
  return key === "session" || key.startsWith("message/")
}

/** Its share was removed meanwhile: nothing of it is shared any more. */
export function isClosed(error: unknown): boolean {
  return error instanceof SturdyError && error.code === "stream_closed"
}
