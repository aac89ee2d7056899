/** One stream as the host holds it: record ops, remove the share, see how it stands. */
import { encodeArgs } from "./intent/codec.ts"
import type { Reference } from "./intent/reference.ts"
import * as limit from "./intent/limit.ts"
import { hintOf, type Block } from "./flusher/block.ts"
import { newIntent, referenceIn, type Intent, type IntentOp } from "./handle.ts"
import type { DeadLetter, DeadLetterPage } from "./store/dead-letter-row.ts"
import type { Retried } from "./store/dead-letter.ts"
import type { NewOp } from "./store/new-op.ts"
import type { Unblocking } from "./store/unblock.ts"
import { localSeq, type StreamRow, type Streams, type SturdyRef } from "./store/stream.ts"
import { checkInput, checkPage, invalidInput, type RecordInput } from "./record-input.ts"
import { isUlid, type UlidFactory } from "./intent/ulid.ts"
import type { Clock } from "./intent/seam.ts"
import type { Units } from "./units.ts"

/** What a stream needs of its outbox. */
export interface StreamOwner {
  readonly outbox: object
  /** Throws once the file is closed. */
  streams(): Streams
  readonly ulid: UlidFactory
  readonly clock: Clock
  /** Where ops are written; throws once the outbox is closed. */
  units(): Units
  remove(stream_id: number): void
  unblock(stream_id: number, change: Unblocking): boolean
  rotate(stream_id: number): Promise<{ epoch: number }>
  diskBlock(): Block | undefined
}

/** Why a stream does not move. */
export interface StreamBlock {
  reason: string
  message: string
  hint: string
  /** ms since the epoch; undefined for a block of the outbox itself, which is known to this process only. */
  since: number | undefined
  /** When it is looked at again, ms since the epoch; undefined if it does not end by asking again. */
  next_probe_at: number | undefined
}

export interface StreamStatus {
  name: string
  service: string
  share_id: string
  url: string | undefined
  /** Name of the wire protocol in which the service has answered; undefined as long as it has not. */
  protocol: string | undefined
  /** Ops recorded since the stream exists, whatever became of them. */
  recorded: number
  pending: number
  dead: number
  /** Attempts that reached the network or tried to, and batches that the service decided. */
  posts: number
  batches: number
  block: StreamBlock | undefined
  /** Its removal was recorded: nothing more can be. */
  removed: boolean
}

export class Stream {
  readonly name: string
  readonly #stream_id: number
  readonly #owner: StreamOwner
  readonly #referenceOf: ReturnType<typeof referenceIn>

  constructor(row: StreamRow, owner: StreamOwner) {
    this.name = row.name
    this.#stream_id = row.stream_id
    this.#owner = owner
    this.#referenceOf = referenceIn(owner.outbox, row.stream_id)
  }

  /**
   * Records one op intent and wakes the flusher. Committed when it returns (survives kill -9; `outbox.durable()` for power
   * loss). Arguments are serialized at once. Inside `outbox.unit` it is written with the unit.
   *
   * @throws SturdyError `invalid_argument`, `args_unsupported`, `reference_foreign`, `reference_superseded`,
   *   `op_too_large`, `outbox_full`, `stream_closed`, `busy`, `disk_full`, `storage_fault`, `database_moved`, `closed`;
   *   nothing was written unless `indeterminate`, and then repeating with the same captureId is safe.
   */
  record<T = unknown>(input: RecordInput): Intent<T> {
    checkInput(input)
    const { text, references: inArgs } = encodeArgs(input.args, this.#referenceOf)
    const target = input.target && this.#reference(input.target, "target")
    const references = target ? [...new Set([target.op_id, ...inArgs])] : inArgs
    const depends_on = [
      ...new Set([...references, ...(input.dependsOn ?? []).map((on, index) => this.#dependency(on, index))]),
    ]
    if (depends_on.length > limit.depends_on_max)
      throw invalidInput(`an op depends on at most ${limit.depends_on_max} others, this one on ${depends_on.length}`)
    const op: NewOp = {
      op_id: this.#owner.ulid(),
      ...(target && { target: [target.op_id, ...target.path] as [string, ...(string | number)[]] }),
      method: input.method,
      args: text,
      depends_on,
      references,
      want_result: input.wantResult ?? false,
      schema_version: input.schemaVersion ?? 1,
      actor_id: input.actorId,
      time_created: this.#owner.clock.now(),
      key: input.key,
      capture_id: input.captureId,
      stale: input.stale ?? false,
      only_if_changed: input.onlyIfChanged ?? false,
      depends_on_keys: input.dependsOnKeys ?? [],
      ends_keys: input.endsKeys,
    }
    const intent: IntentOp = {
      outbox: this.#owner.outbox,
      stream_id: this.#stream_id,
      op_id: op.op_id,
      seq: undefined,
      method: op.method,
      want_result: op.want_result,
    }
    // It may join the open unit; the IntentOp is told which op stands for it.
    this.#owner.units().submit({ stream_id: this.#stream_id, op, intent })
    return newIntent(intent)
  }

  /**
   * Records that the share is to be removed: the stream's last intent. It overtakes what is pending, which becomes
   * `discarded` when the service has answered. It lifts a block and waits for no probe; a Retry-After that stands is
   * waited for. Safe to repeat. Refused inside a unit, which could not undo it.
   *
   * @throws SturdyError `invalid_argument`, `busy`, `disk_full`, `storage_fault`, `database_moved`, `closed`
   */
  remove(): void {
    this.#owner.remove(this.#stream_id)
  }

  /**
   * Lifts the block that stops this stream, now: for what no probe can see, or when waiting for one is too long. What is
   * pending is sent at once, but not before a Retry-After that the last probe was told; another service did not ask. With
   * `secret`, `service` or `acceptServer` it also changes what the stream is sent with. False if there was no block.
   *
   * @throws SturdyError `invalid_argument`, `stream_closed`, `busy`, `disk_full`, `closed`; nothing was written.
   */
  unblock(change: Unblocking = {}): boolean {
    return this.#owner.unblock(this.#stream_id, change)
  }

  /**
   * Gives the share a new secret, drawn here: the old one, and every capability that was derived from it, open nothing
   * any more. Only with the root capability, and by a protocol that has the call (`rpc`). The new secret is stored before
   * it is sent; whatever ends this, the stream goes on with the one that opens the share, and repeating it goes on. Who
   * passes the old ref to `outbox.stream` from now on gets `stream_conflict`: `ref()` is the new one. While the outbox is
   * paused too. Keeps the process alive.
   *
   * @returns the epoch of the share since then.
   * @throws SturdyError `rotation_refused` (not this capability, share or protocol), `rotation_unfinished` (repeat it;
   *   `indeterminate` if the service may have taken it), `stream_closed`, `busy`, `disk_full`, `storage_fault`,
   *   `sync_failed`, `database_moved`, `closed`
   */
  rotate(): Promise<{ epoch: number }> {
    return this.#owner.rotate(this.#stream_id)
  }

  /**
   * What the service rejected for good and nobody has decided about yet, oldest first, a page at a time: `after` is the
   * `seq` of the last one of the page before. Arguments only with `args`.
   *
   * @throws SturdyError `invalid_argument`, `busy`, `storage_fault`, `closed`.
   */
  deadLetters(page: DeadLetterPage = {}): DeadLetter[] {
    checkPage(page)
    return this.#owner.units().deadLetters.page(this.#stream_id, page)
  }

  /**
   * Records a dead letter again as a new op, with the dead letters that depend on it, and wakes the flusher. Committed
   * when it returns, all or nothing. A dependent that also depends on another dead letter goes with the retry of that
   * one. The new op has the same content, key and wish for a result; it replaces no op of its key, and goes last.
   * Its op_id follows from that of the dead letter: copies of one outbox that retry the same are applied once.
   *
   * @returns what was recorded for what, each after what it depends on.
   * @throws SturdyError `dead_letter_unknown` if it is none of this stream, saying what it is; `dead_letter_decided`,
   *   saying how; `dead_letter_dependent` if a dead letter on which it depends must be retried first, or was discarded;
   *   `invalid_argument`, and what `record` throws. Nothing was written unless `indeterminate`, and then repeating is safe.
   */
  retry(op_id: string): Retried[] {
    return this.#owner.units().retry(this.#stream_id, op_id)
  }

  /**
   * Gives a dead letter up, with the dead letters that depend on it: they could only be rejected again. Nothing changes
   * at the service. Also after the share was removed. What is recorded next under the key of one is the first of it.
   *
   * @returns the op_ids that were given up.
   * @throws SturdyError `dead_letter_unknown`, `dead_letter_decided`, `invalid_argument`, `busy`, `disk_full`,
   *   `storage_fault`, `database_moved`, `closed`; nothing was written unless `indeterminate`, and then repeating is safe.
   */
  discard(op_id: string): string[] {
    return this.#owner.units().discard(this.#stream_id, op_id)
  }

  /**
   * What is known of the host's things: key → op_id of its latest op, of those recorded with `onlyIfChanged`. For a
   * catch-up: look here first, read the host's state, then record with a `stale` that compares.
   *
   * @throws SturdyError `busy`, `storage_fault`, `closed`
   */
  items(): Map<string, string> {
    return this.#owner.units().captures.items(this.#stream_id)
  }

  /** Of one of the items: the op_id of the latest op of its key. @throws SturdyError `busy`, `storage_fault`, `closed` */
  latest(key: string): string | undefined {
    return this.#owner.units().captures.latest(this.#stream_id, key)
  }

  /**
   * The op that stands for a captured event; undefined if it was not captured.
   *
   * @throws SturdyError `busy`, `storage_fault`, `closed`
   */
  captured(captureId: string): { op_id: string | undefined } | undefined {
    return this.#owner.units().captures.captured(this.#stream_id, captureId)
  }

  /**
   * What opens the share from anywhere: hand it out as you would the share itself. `remote`: its id and secret there, if
   * they were made by the service or by somebody else.
   *
   * @throws SturdyError `busy`, `storage_fault`, `closed`
   */
  ref(): SturdyRef & { remote?: { id: string; secret: string } } {
    const { service, share_id, secret, remote_id, remote_secret } = this.#row
    const remote = remote_id !== null && remote_secret !== null && { remote: { id: remote_id, secret: remote_secret } }
    return { service, share_id, secret, ...remote }
  }

  /** Was its removal recorded? Nothing more can be. @throws SturdyError `busy`, `storage_fault`, `closed` */
  get isRemoved(): boolean {
    return this.#row.time_removal !== null
  }

  /** @throws SturdyError `busy`, `storage_fault`, `closed` */
  status(): StreamStatus {
    const row = this.#row
    return {
      name: row.name,
      service: row.service,
      share_id: row.share_id,
      url: row.url ?? undefined,
      protocol: row.protocol ?? undefined,
      recorded: localSeq(this.#owner.streams().lastSeq(row)),
      pending: this.#owner.streams().pendingCount(row),
      dead: row.dead_count,
      posts: row.post_count,
      batches: row.batch_count,
      block: blockOf(row, this.#owner.diskBlock()),
      removed: row.time_removal !== null,
    }
  }

  get #row(): StreamRow {
    return this.#owner.streams().get(this.#stream_id)
  }

  #reference(intent: Intent | string, name: string): Reference {
    const reference = typeof intent === "object" && intent !== null ? this.#referenceOf(intent) : undefined
    if (!reference) throw invalidInput(`${name} is no ${name === "target" ? "Intent" : "Intent and no op_id"}`)
    return reference
  }

  #dependency(on: Intent | string, index: number): string {
    return isUlid(on) ? on : this.#reference(on, `dependsOn[${index}]`).op_id
  }
}

function blockOf(row: StreamRow, disk: Block | undefined): StreamBlock | undefined {
  const { block, block_message, time_blocked, next_attempt_at } = row
  if (block === null) return disk && { ...disk, hint: hintOf(disk.reason), since: undefined, next_probe_at: undefined }
  return {
    reason: block,
    message: block_message ?? "",
    hint: hintOf(block),
    since: time_blocked ?? undefined,
    next_probe_at: next_attempt_at ?? undefined,
  }
}
