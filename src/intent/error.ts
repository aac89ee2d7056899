/**
 * Three families that never mix: an answer of a server is data (see wire/contract.ts), a fault is one `SturdyError`,
 * a bug is a failed `assert`.
 */

/**
 * What can go wrong, as a closed set. `retriable`: the same call may succeed later without anyone changing anything.
 * `exit`: the CLI's exit code (1 failed, 2 usage, 3 needs a person).
 */
export const errorTable = {
  /** The caller passed something that can never work; nothing was written. */
  invalid_argument: { retriable: false, exit: 2 },
  /** A value in the arguments cannot be replayed faithfully; `path` names it. */
  args_unsupported: { retriable: false, exit: 1 },
  op_too_large: { retriable: false, exit: 1 },
  unit_too_large: { retriable: false, exit: 1 },
  outbox_full: { retriable: false, exit: 3 },
  reference_foreign: { retriable: false, exit: 1 },
  reference_superseded: { retriable: false, exit: 1 },
  unit_spans_streams: { retriable: false, exit: 1 },
  stream_unknown: { retriable: false, exit: 1 },
  stream_conflict: { retriable: false, exit: 1 },
  stream_closed: { retriable: false, exit: 1 },
  op_unknown: { retriable: false, exit: 1 },
  op_rejected: { retriable: false, exit: 1 },
  op_superseded: { retriable: false, exit: 1 },
  op_discarded: { retriable: false, exit: 1 },
  /** An op in the file is not what was recorded. */
  op_damaged: { retriable: false, exit: 3 },
  /** Not a dead letter of this stream. */
  dead_letter_unknown: { retriable: false, exit: 1 },
  /** It was retried or discarded before. */
  dead_letter_decided: { retriable: false, exit: 1 },
  /** It depends on a dead letter that was not retried: it would be rejected again. */
  dead_letter_dependent: { retriable: false, exit: 1 },
  /** The secret of the share cannot be changed from here, or with this capability. */
  rotation_refused: { retriable: false, exit: 1 },
  /** The service has not said that it took the new secret; `indeterminate` if it may have. */
  rotation_unfinished: { retriable: true, exit: 1 },
  closed: { retriable: false, exit: 1 },
  flusher_stopped: { retriable: false, exit: 1 },
  already_open: { retriable: false, exit: 1 },
  busy: { retriable: true, exit: 1 },
  disk_full: { retriable: true, exit: 3 },
  storage_fault: { retriable: true, exit: 1 },
  database_missing: { retriable: false, exit: 1 },
  database_not_outbox: { retriable: false, exit: 1 },
  database_not_service: { retriable: false, exit: 1 },
  database_not_sqlite: { retriable: false, exit: 1 },
  database_corrupt: { retriable: false, exit: 3 },
  database_newer: { retriable: false, exit: 3 },
  database_moved: { retriable: false, exit: 3 },
  database_unopenable: { retriable: false, exit: 1 },
  database_unsafe: { retriable: false, exit: 1 },
  sync_failed: { retriable: false, exit: 1 },
  recording_malformed: { retriable: false, exit: 1 },
} as const satisfies Record<string, { retriable: boolean; exit: 1 | 2 | 3 }>

export type SturdyErrorCode = keyof typeof errorTable

export interface SturdyErrorOptions {
  cause?: unknown
  /** Where in the arguments, e.g. `args[0].part.state`. */
  path?: string
  /** True if it is not known whether the write happened; repeating with the same captureId is safe. */
  indeterminate?: boolean
}

/** The one error that Sturdy throws. `code` is for programs, `message` says what happened, `hint` what to do. */
export class SturdyError extends Error {
  override readonly name = "SturdyError"
  readonly path: string | undefined
  readonly indeterminate: boolean

  constructor(
    readonly code: SturdyErrorCode,
    message: string,
    /** What the reader can do about it, one sentence. */
    readonly hint: string,
    options: SturdyErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.path = options.path
    this.indeterminate = options.indeterminate ?? false
  }

  get retriable(): boolean {
    return errorTable[this.code].retriable
  }
}

/** A bug of Sturdy's own. Asserted in production too: a wrong assumption must stop before it is written down. */
export class InvariantError extends Error {
  override readonly name = "InvariantError"
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
