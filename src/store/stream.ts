/** Streams: one row each, with all that the flusher must remember of it. */
import type { Statement } from "bun:sqlite"
import { assert, SturdyError } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import { randomId } from "../intent/ulid.ts"
import type { Connection } from "./connection.ts"

/** Storable secret that names a share across sessions. */
export interface SturdyRef {
  /** Where the service's Cap'n Web endpoint is, e.g. `https://notes.example.com/rpc/share`. */
  service: string
  share_id: string
  secret: string
}

/** A share that somebody else created, and how it is spoken of there. */
export interface Adopted {
  /** Name of the wire protocol that its service speaks; left out, it is found out. */
  protocol?: string | undefined
  /** As its service made them. */
  remote: { id: string; secret: string }
  url: string
}

/** Where a stream comes from: stored when it is created. */
export interface Origin {
  /** Create input: this outbox creates the share. */
  session_id?: string | undefined
  adopted?: Adopted | undefined
  /** To begin with, as long as the service has not been heard. */
  protocol?: string | undefined
}

export interface StreamRow {
  stream_id: number
  name: string
  service: string
  share_id: string
  secret: string
  writer_id: string
  session_id: string | null
  granted: number
  probing: number
  protocol: string | null
  remote_id: string | null
  remote_secret: string | null
  next_secret: string | null
  service_id: string | null
  epoch: number | null
  url: string | null
  batch_ops_max: number | null
  batch_bytes_max: number | null
  op_bytes_max: number | null
  cursor: number
  frozen_seq: number
  gap_count: number
  base_cursor: number
  base_head_op_id: string | null
  settled_op_id: string | null
  pruned_seq: number
  pruned_op_id: string | null
  retained_ops: number
  retained_bytes: number
  attempts: number
  next_attempt_at: number | null
  retry_after_at: number | null
  last_error: string | null
  block: string | null
  block_message: string | null
  time_blocked: number | null
  service_fault_count: number
  resync_owed: string | null
  time_removal: number | null
  time_closed: number | null
  repeat_removal: number
  post_count: number
  batch_count: number
  dead_count: number
  superseded_count: number
  twin_count: number
  reset_count: number
  time_created: number
}

// seq = stream_id × 2^32 + n: both stay within the integers that JavaScript holds exactly.
const ops_per_stream_max = 2 ** 32
export const streams_max = 2 ** 21 - 1

export const firstSeq = (stream_id: number): number => stream_id * ops_per_stream_max
export const streamIdOf = (seq: number): number => Math.floor(seq / ops_per_stream_max)
/** One past the last seq that a stream may use. */
export const endSeq = (stream_id: number): number => (stream_id + 1) * ops_per_stream_max
/** The place within the stream, for people. */
export const localSeq = (seq: number): number => seq % ops_per_stream_max

/** A time of the next probe beyond this was written by a clock that was ahead (wall clock, ms). */
const probe_horizon_ms = 2 * limit.probe_delay_ms_max

/** A probe is due at its time; or now, if that time is further away than any could be. */
export function isDue(next_attempt_at: number, now: number): boolean {
  return next_attempt_at <= now || next_attempt_at > now + probe_horizon_ms
}

/** A stream without a block, as it is written; `attempts` counted its probes. */
export const unblocked = {
  block: null,
  block_message: null,
  time_blocked: null,
} as const satisfies Partial<StreamRow>

/**
 * Until when (wall clock, ms) the service, or a gateway before it, asked for silence; undefined if neither did. A time
 * beyond the next attempt is a leftover: a process of an older Sturdy has asked since, and did not know of it.
 */
export function askedUntil({
  retry_after_at,
  next_attempt_at,
}: Pick<StreamRow, "retry_after_at" | "next_attempt_at">): number | undefined {
  if (retry_after_at === null || next_attempt_at === null || retry_after_at > next_attempt_at) return
  return retry_after_at
}

/**
 * The same as SQL for the stream `?1`, with the retry state: the next attempt is due at once, or when what was asked for
 * is over, by the rule of `askedUntil`; that outlives the block. `?2` is now (wall clock, ms).
 */
export const clearBlockSql = `block = null, block_message = null, time_blocked = null, attempts = 0, last_error = null,
  next_attempt_at = case when retry_after_at > ?2 and retry_after_at <= next_attempt_at then retry_after_at end`

export class Streams {
  readonly #byName: Statement<StreamRow>
  readonly #byId: Statement<StreamRow>
  readonly #all: Statement<StreamRow>
  readonly #lastSeq: Statement<{ seq: number | null }>
  readonly #withWork: Statement<{ stream_id: number }>
  readonly #nextProbe: Statement<{ at: number | null }>
  readonly #protocol: Statement<{ protocol: string }>

  constructor(readonly connection: Connection) {
    const { db } = connection
    this.#byName = db.prepare("select * from sturdy_stream where name = ?")
    this.#byId = db.prepare("select * from sturdy_stream where stream_id = ?")
    this.#all = db.prepare("select * from sturdy_stream order by stream_id")
    this.#withWork = db.prepare(
      `select stream_id from sturdy_stream stream where case
         when block is not null then next_attempt_at <= ?1 or next_attempt_at > ?1 + ${probe_horizon_ms}
         when time_closed is not null then repeat_removal = 1
         when time_removal is not null then 1
         else (session_id is not null and granted = 0) or exists (
           select 1 from sturdy_op where seq > stream.cursor and seq < (stream.stream_id + 1) * ${ops_per_stream_max})
         end`,
    )
    this.#nextProbe = db.prepare("select min(next_attempt_at) as at from sturdy_stream where block is not null")
    this.#protocol = db.prepare(
      "select protocol from sturdy_stream where service = ? and protocol is not null order by stream_id desc limit 1",
    )
    this.#lastSeq = db.prepare("select max(seq) as seq from sturdy_op where seq >= ? and seq < ?")
  }

  /**
   * Finds the stream of this name, or creates it with a fresh writer_id; it begins with the protocol that is remembered
   * of its service.
   *
   * @throws SturdyError `stream_conflict` if the name belongs to another share, or the ref differs from the stored one.
   */
  open(name: string, ref: SturdyRef, { session_id, adopted, protocol }: Origin = {}): StreamRow {
    const known = this.find(name)
    if (known) return sameShare(known, ref)
    // A rollback would give its number to another stream, and who holds this one would write into that share.
    this.connection.assertAlone("open stream")
    return this.connection.write("open stream", () => this.#create(name, ref, { session_id, adopted, protocol }))
  }

  find(name: string): StreamRow | undefined {
    return this.connection.read("read stream", () => this.#byName.get(name)) ?? undefined
  }

  get(stream_id: number): StreamRow {
    const row = this.connection.read("read stream", () => this.#byId.get(stream_id))
    assert(row, `stream ${stream_id} is gone: streams are never deleted`)
    return row
  }

  all(): StreamRow[] {
    return this.connection.read("read streams", () => this.#all.all())
  }

  /** Streams that have something to send: ops, a share to create, or one to remove; blocked ones when a probe is due. */
  withWork(): number[] {
    const now = this.connection.seams.clock.now()
    return this.connection.read("look for work", () => this.#withWork.all(now)).map((row) => row.stream_id)
  }

  /** ms until the next probe of a blocked stream; undefined if none is to come. */
  untilProbe(): number | undefined {
    const at = this.connection.read("look for probes", () => this.#nextProbe.get())?.at
    return at == null ? undefined : Math.max(0, at - this.connection.seams.clock.now())
  }

  /** The wire protocol that is remembered of the service: that of the latest stream there that has one. */
  protocolOf(service: string): string | undefined {
    return this.connection.read("look for a protocol", () => this.#protocol.get(service))?.protocol
  }

  /** Highest seq ever given in the stream, whether its op is still there or not. */
  lastSeq(stream: Pick<StreamRow, "stream_id" | "cursor">): number {
    const { stream_id } = stream
    const { seq } = this.connection.read("read stream", () =>
      this.#lastSeq.get(firstSeq(stream_id), endSeq(stream_id)),
    )!
    return Math.max(seq ?? 0, stream.cursor)
  }

  /** Ops that wait for the server. After the stream was closed none waits: they are discarded. */
  pendingCount(stream: StreamRow): number {
    if (stream.time_closed !== null) return 0
    return this.lastSeq(stream) - stream.cursor - stream.gap_count
  }

  /**
   * Removal is the stream's last intent: nothing is recorded, frozen or sent after it but the removal itself. Waits for
   * a lock as long as `record` does: nobody else says it again.
   */
  recordRemoval(stream_id: number): void {
    const { db, seams } = this.connection
    const record = () => {
      const now = seams.clock.now()
      const { block, time_removal } = this.get(stream_id)
      if (time_removal !== null) return
      // It waits for no probe of the block that it lifts; for what was asked of this outbox all the same.
      if (block !== null) db.query(`update sturdy_stream set ${clearBlockSql} where stream_id = ?1`).run(stream_id, now)
      db.query("update sturdy_stream set time_removal = ?2 where stream_id = ?1").run(stream_id, now)
    }
    this.connection.write("record removal", record)
  }

  #create(name: string, ref: SturdyRef, { session_id, adopted, protocol }: Origin): StreamRow {
    const raced = this.#byName.get(name)
    if (raced) return sameShare(raced, ref)
    const { db, seams } = this.connection
    const { last } = db.query("select coalesce(max(stream_id), 0) as last from sturdy_stream").get() as {
      last: number
    }
    const stream_id = last + 1
    assert(stream_id <= streams_max, `an outbox holds at most ${streams_max} streams`)
    const first = firstSeq(stream_id)
    db.query(
      `insert into sturdy_stream (stream_id, name, service, share_id, secret, writer_id, session_id, protocol,
         remote_id, remote_secret, url, cursor, frozen_seq, pruned_seq, time_created)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      stream_id,
      name,
      ref.service,
      ref.share_id,
      ref.secret,
      randomId(seams.random, 128),
      session_id ?? null,
      adopted?.protocol ?? this.protocolOf(ref.service) ?? protocol ?? null,
      adopted?.remote.id ?? null,
      adopted?.remote.secret ?? null,
      adopted?.url ?? null,
      first,
      first,
      first,
      seams.clock.now(),
    )
    return this.get(stream_id)
  }
}

function sameShare(known: StreamRow, ref: SturdyRef): StreamRow {
  if (known.service === ref.service && known.share_id === ref.share_id && known.secret === ref.secret) return known
  const differs = (["service", "share_id", "secret"] as const).filter((field) => known[field] !== ref[field])
  throw new SturdyError(
    "stream_conflict",
    `stream ${known.name} exists with another ${differs.join(" and ")}`,
    "outbox.stream(name) without a ref opens it as stored; after rotate() or unblock({ secret }) pass the new ref; for another share take another name.",
  )
}
