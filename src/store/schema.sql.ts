/**
 * The outbox in SQLite. Table names carry a prefix because they may live in the host's own database.
 *
 * `seq` is the queue: one integer that holds stream and place, stream_id × 2^32 + n, as the rowid. So the ops of a
 * stream lie together without a second index on the hot path (measured: an index costs 15 B per op and 1 µs per
 * record). What is pending follows from the cursor; there is no status column to update per op.
 */
import { sql } from "drizzle-orm"
import { blob, index, integer, primaryKey, sqliteTable, sqliteView, text } from "drizzle-orm/sqlite-core"
import { ulidText } from "./ulid-text.ts"

const bytes = (name?: string) => (name ? blob(name, { mode: "buffer" }) : blob({ mode: "buffer" }))

/** One row. `version` is the newest schema applied, `compatible_version` the oldest code that may still use the file. */
export const MetaTable = sqliteTable("sturdy_meta", {
  id: integer().primaryKey(),
  outbox_id: text().notNull(),
  version: integer().notNull(),
  compatible_version: integer().notNull(),
  time_created: integer().notNull(),
})

export const StreamTable = sqliteTable("sturdy_stream", {
  stream_id: integer().primaryKey(),
  name: text().notNull().unique(),
  service: text().notNull(),
  share_id: text().notNull(),
  secret: text().notNull(),
  writer_id: text().notNull(),
  /** Create input: set if this outbox creates the share. */
  session_id: text(),
  /** A Grant was received and not forgotten: until then createShare goes with every POST. */
  granted: integer().notNull().default(0),
  /** The share was lost after a Grant: the next POST is createShare and redeemShare alone. */
  probing: integer().notNull().default(0),
  /** Name of the wire protocol in which the service itself has answered. */
  protocol: text(),
  /** The share's id and secret where the service makes them, instead of taking those of the ref. */
  remote_id: text(),
  remote_secret: text(),
  /** A rotation stored it and has not heard that the service took it: it may be the only secret that opens the share. */
  next_secret: text(),
  service_id: text(),
  epoch: integer(),
  url: text(),
  batch_ops_max: integer(),
  batch_bytes_max: integer(),
  op_bytes_max: integer(),
  /** Highest seq with everything at or below it settled. */
  cursor: integer().notNull(),
  /** Highest seq in a frozen batch. */
  frozen_seq: integer().notNull(),
  /** Seqs above the cursor that have no row, because their op was superseded: pending = last seq - cursor - this. */
  gap_count: integer().notNull().default(0),
  base_cursor: integer().notNull().default(0),
  base_head_op_id: text(),
  settled_op_id: text(),
  /** Nothing at or below it is retained; and the op_id there, null if nothing was ever pruned. */
  pruned_seq: integer().notNull(),
  pruned_op_id: text(),
  retained_ops: integer().notNull().default(0),
  retained_bytes: integer().notNull().default(0),
  /** Attempts that failed in a row; while blocked, the probes. */
  attempts: integer().notNull().default(0),
  /** Of the next attempt or probe (wall clock, ms): survives a restart, so that nobody hammers a server. */
  next_attempt_at: integer(),
  /**
   * The last answer asked for silence until then (wall clock, ms): a Retry-After, or `retry_after_ms` of a refusal. null:
   * it did not, or an older Sturdy wrote no note of it. Such a one also leaves it as it is: see `askedUntil`.
   */
  retry_after_at: integer(),
  last_error: text(),
  block: text(),
  block_message: text(),
  time_blocked: integer(),
  /** Answers to the first pending batch that were neither an Ack nor a refusal, in a row: then it is isolated. */
  service_fault_count: integer().notNull().default(0),
  /** Why the host's `resync` hook is still to be told: `twin` or `server_reset`. */
  resync_owed: text(),
  /** Removal was recorded; no batch is frozen or sent after it. */
  time_removal: integer(),
  /** The removal was settled. */
  time_closed: integer(),
  /** A settled removal is to be repeated once: the service was rolled back and may have forgotten it. */
  repeat_removal: integer().notNull().default(0),
  post_count: integer().notNull().default(0),
  batch_count: integer().notNull().default(0),
  dead_count: integer().notNull().default(0),
  superseded_count: integer().notNull().default(0),
  twin_count: integer().notNull().default(0),
  reset_count: integer().notNull().default(0),
  time_created: integer().notNull(),
})

/** Pending ops, and settled ones as long as they are retained. A superseded op leaves this table when it is replaced. */
export const OpTable = sqliteTable("sturdy_op", {
  seq: integer().primaryKey(),
  op_id: bytes().notNull(),
  time_created: integer().notNull(),
  /** 1 if the op belongs to the unit of the op before it. */
  continues: integer(),
  want_result: integer(),
  /** null = 1. */
  schema_version: integer(),
  /** 16 bytes per op_id. */
  depends_on: bytes(),
  supersedes: bytes(),
  key: text(),
  target: text(),
  actor_id: text(),
  method: text().notNull(),
  args: text().notNull(),
  /** CRC-32 of what is sent, so that a damaged page is noticed before it is sent. null = by a Sturdy that wrote none. */
  checksum: integer(),
})

/** Frozen batches; they stay as long as their ops are retained, so that a reset sends the same batches again. */
export const BatchTable = sqliteTable("sturdy_batch", {
  first_seq: integer().primaryKey(),
  last_seq: integer().notNull(),
  batch_id: text().notNull(),
  op_count: integer().notNull(),
  bytes: integer().notNull(),
  time_frozen: integer().notNull(),
  time_settled: integer(),
})

/** What the server rejected for good, kept whole until a person decides. */
export const DeadLetterTable = sqliteTable(
  "sturdy_dead_letter",
  {
    seq: integer().primaryKey(),
    op_id: bytes().notNull(),
    code: text().notNull(),
    message: text().notNull(),
    /** The op as it was sent, JSON. */
    op: text().notNull(),
    time_created: integer().notNull(),
    key: text(),
    /** `retried` or `discarded`, by a person or the host; null as long as nobody has decided. */
    decision: text(),
    time_decided: integer(),
    /** The new op that a retry recorded for it. */
    retried_op_id: bytes(),
  },
  (table) => [
    index("sturdy_dead_letter_op_id_idx").on(table.op_id),
    // Undecided ones in the order of the stream, and decided ones: an index ends with the rowid, which is seq.
    index("sturdy_dead_letter_decision_idx").on(table.decision),
    index("sturdy_dead_letter_retried_op_id_idx")
      .on(table.retried_op_id)
      .where(sql`retried_op_id is not null`),
    // What may be recorded again or given up with another one, without a look at the payloads.
    index("sturdy_dead_letter_hanging_idx")
      .on(table.seq, table.op_id, sql`json_extract(op, '$.depends_on')`)
      .where(sql`decision is null and json_extract(op, '$.depends_on') <> '[]'`),
  ],
)

/** Ops that a newer op replaced, here (never sent) or by the server's word (then `by_op_id` may be unknown). */
export const SupersededTable = sqliteTable(
  "sturdy_superseded",
  { seq: integer().primaryKey(), op_id: bytes().notNull(), by_op_id: bytes() },
  (table) => [index("sturdy_superseded_op_id_idx").on(table.op_id)],
)

/** Results that an Ack brought back for ops recorded with `wantResult`; retained with their op. */
export const ResultTable = sqliteTable("sturdy_result", { seq: integer().primaryKey(), result: text().notNull() })

/** Events of the host that were captured: the same capture_id again records nothing. No op_id: nothing stood for it. */
export const CaptureTable = sqliteTable(
  "sturdy_capture",
  {
    stream_id: integer().notNull(),
    capture_id: text().notNull(),
    op_id: bytes(),
  },
  (table) => [primaryKey({ columns: [table.stream_id, table.capture_id] })],
)

/** Per key of a stream: its first op (what others depend on), its latest, and a hash of the latest's content. */
export const ItemTable = sqliteTable(
  "sturdy_item",
  {
    stream_id: integer().notNull(),
    key: text().notNull(),
    first_op_id: bytes().notNull(),
    op_id: bytes().notNull(),
    content_hash: bytes().notNull(),
  },
  (table) => [primaryKey({ columns: [table.stream_id, table.key] })],
)

/** How far a source was captured; written in the transaction that records. */
export const BookmarkTable = sqliteTable("sturdy_bookmark", {
  source: text().primaryKey(),
  place: integer().notNull(),
  /** What stands at that place, e.g. an event id: a source in which something else stands there is another source. */
  mark: text(),
  time_updated: integer().notNull(),
})

/** One row: who may flush. `term` grows by 1 per acquisition and fences late holders. */
export const LeaseTable = sqliteTable("sturdy_lease", {
  id: integer().primaryKey(),
  term: integer().notNull(),
  owner: text().notNull(),
  host: text().notNull(),
  boot_id: text().notNull(),
  pid: integer().notNull(),
  pid_started: text().notNull(),
  time_expires: integer().notNull(),
})

/** The usual words for people. Written by nobody: everything in it follows from cursor, batches and dead letters. */
export const OpStateView = sqliteView("op_state", {
  op_id: text(),
  state: text(),
  attempts: integer(),
  next_retry_at: integer(),
  last_error: text(),
}).as(
  sql.raw(`select ${ulidText("op.op_id")} as op_id,
    case
      when op.seq > stream.cursor and stream.time_closed is not null then 'discarded'
      when op.seq > stream.frozen_seq then 'pending'
      when op.seq > stream.cursor then 'in_flight'
      when dead.seq is not null then 'failed'
      when superseded.seq is not null then 'superseded'
      else 'acked'
    end as state,
    case when op.seq > stream.cursor and op.seq <= stream.frozen_seq then stream.attempts else 0 end as attempts,
    case when op.seq > stream.cursor then stream.next_attempt_at end as next_retry_at,
    case when op.seq > stream.cursor then coalesce(stream.block, stream.last_error) else dead.code end as last_error
  from sturdy_op op
  join sturdy_stream stream on stream.stream_id = op.seq >> 32
  left join sturdy_dead_letter dead on dead.seq = op.seq
  left join sturdy_superseded superseded on superseded.seq = op.seq
  union all
  select ${ulidText("superseded.op_id")}, 'superseded', 0, null, null
  from sturdy_superseded superseded where not exists (select 1 from sturdy_op op where op.seq = superseded.seq)
  union all
  select ${ulidText("dead.op_id")}, 'failed', 0, null, dead.code
  from sturdy_dead_letter dead where not exists (select 1 from sturdy_op op where op.seq = dead.seq)`),
)
