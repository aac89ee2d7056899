/**
 * The limits and defaults of Sturdy, each with its unit (last in the name) and its reason. What only the service or one
 * reader needs stands there (service/limit.ts, opencode/recording.ts).
 */

/** Milliseconds between the first op of a batch and its sealing: long enough to gather a burst, too short to notice. */
export const linger_ms = 50

/** A batch is sealed at this many ops: beyond it, a larger array gains little (measured: 2.3 µs/op at 100, 1.4 at 1,000). */
export const batch_ops_max = 100
/** A batch is sealed at this many bytes: one lost POST then costs at most `window` times as much. */
export const batch_seal_bytes = 1024 * 1024

/** Batches pipelined in one POST. */
export const window_batches = 8
/** Bytes of one POST, at most; a window is cut before it. */
export const post_bytes_max = 16 * 1024 * 1024
/** Bytes of a POST beside its batches: createShare, redeemShare, and what capnweb adds around each op. */
export const post_overhead_bytes = 64 * 1024

/** Bytes of one op's JSON text. A grant may lower it, never below the floor. */
export const op_bytes_max = 4 * 1024 * 1024
/** Bytes of one batch's JSON text, and so of one unit. A grant may lower it, never below the floor. */
export const batch_bytes_max = 8 * 1024 * 1024
export const op_bytes_floor = 256 * 1024
export const batch_bytes_floor = 1024 * 1024
export const batch_ops_floor = 100

/** Ops that one op may list in `supersedes`; then it takes no more replacements. 64 ids are about 2 KB on the wire. */
export const supersedes_max = 64
/** Ops that one op may depend on. */
export const depends_on_max = 256
/** UTF-8 bytes of a key, a capture_id, a method name or an actor_id. */
export const name_bytes_max = 512

/** Backoff: exponential with full jitter between these bounds. */
export const retry_delay_ms_min = 500
export const retry_delay_ms_max = 60_000
/** A Retry-After beyond this is cut to it: a wrong header must not silence a stream for days. */
export const retry_after_ms_max = 3_600_000

/** A blocked stream is probed after this, then after twice as long, up to the cap; each spread by up to a half. */
export const probe_delay_ms_min = 60_000
export const probe_delay_ms_max = 3_600_000
/** So many answers in a row that are neither an Ack nor a refusal, and the batch is narrowed to the unit that causes them. */
export const service_faults_max = 5

/** One attempt, from its start to the last byte received. */
export const request_deadline_ms = 30_000
/** Of it, for the connection: one that takes longer does not come about. In Bun 1.4.5 it holds the process meanwhile. */
export const connect_deadline_ms = 10_000
/** Bytes of one response: results of a full window, with room. */
export const response_bytes_max = 32 * 1024 * 1024

/** The lease, renewed at a third: a dead holder on another host is replaced after this. */
export const lease_ms = 10_000
/** How often a process that flushes looks for ops recorded by other processes, and one that waits looks at the lease. */
export const poll_ms = 1_000

/** Settled ops are kept at least this long and at least this many per stream, within the byte limit, for a server that lost data. */
export const retained_ms = 7 * 24 * 3_600_000
export const retained_ops = 1_000
export const retained_bytes = 16 * 1024 * 1024

/** The outbox file (without its WAL) takes no op beyond this: `outbox_full`. */
export const outbox_bytes_max = 1024 * 1024 * 1024
/** Hard cap of the WAL: at it, the recording process checkpoints at once. */
export const wal_bytes_max = 16 * 1024 * 1024
/** The WAL is checkpointed when nothing was recorded for this long. */
export const checkpoint_idle_ms = 500

/** A lock is waited for this long on the thread (the event loop stands still); then the caller retries without blocking. */
export const busy_timeout_ms = 100
/** Between two tries for a lock: a commit takes some 0.05 ms, and a process that looks rarely is served rarely. */
export const lock_pause_ms_min = 0.2
export const lock_pause_ms_max = 1
/** Longest synchronous wait of `record`, in all: of 8 processes that record flat out, up to 0.3 s were measured. */
export const record_busy_ms_max = 2_000

/** Budget of the last flush in `close`. */
export const close_flush_ms = 2_000
