/** The parts of the client's store at one place, without network and flusher, and a clock that is turned by hand. */
import type { Database } from "bun:sqlite"
import { encodeArgs } from "../../intent/codec.ts"
import * as limit from "../../intent/limit.ts"
import { systemRandom } from "../../intent/system.ts"
import { ulidFactory } from "../../intent/ulid.ts"
import type { Bookmark } from "../../store/capture.ts"
import { openDatabase } from "../../store/database.ts"
import { DeadLetters } from "../../store/dead-letter.ts"
import { Freezer, type FrozenBatch, type Window } from "../../store/freeze.ts"
import { Knowledge } from "../../store/knowledge.ts"
import { Lease } from "../../store/lease.ts"
import type { NewOp } from "../../store/new-op.ts"
import { processIdentity } from "../../store/process-identity.ts"
import { Recorder } from "../../store/record.ts"
import { type Settlement, Settler } from "../../store/settle.ts"
import { Streams, type SturdyRef } from "../../store/stream.ts"
import { ManualClock } from "../manual-clock.ts"

/** An op as a case means it: everything else has a value that means nothing. */
export type PlainOp = Partial<Omit<NewOp, "args">> & { args?: readonly unknown[] }

export interface StorePartsOptions {
  clock?: ManualClock
  /** The quota. @default that of an outbox */
  outbox_bytes_max?: number
}

export type StoreParts = ReturnType<typeof openStoreParts>

/** All that a POST takes. */
export const wholeWindow: Window = { batches_max: limit.window_batches, bytes_max: limit.post_bytes_max }

export function openStoreParts(
  where: string | { database: Database },
  ref: SturdyRef,
  { clock = new ManualClock(), outbox_bytes_max = limit.outbox_bytes_max }: StorePartsOptions = {},
) {
  const open = openDatabase(where, { clock, random: systemRandom, crashPoint: () => {} })
  const { connection } = open
  const { db } = connection
  const nextId = ulidFactory(clock, systemRandom)
  const streams = new Streams(connection)
  const lease = new Lease(connection, nextId(), processIdentity(), limit.lease_ms)
  const settler = new Settler(connection, streams, lease)
  const recorder = new Recorder(connection, outbox_bytes_max, () => settler.retention.makeRoom())
  const freezer = new Freezer(connection, streams, lease, nextId)
  const knowledge = new Knowledge(connection)
  const { stream_id } = streams.open("notes", ref)
  let closed = false

  const term = () => {
    const row = lease.read()
    if (row && lease.isHeld(row.term)) return row.term
    const acquired = lease.acquire()
    if (!acquired.held) throw new Error(`the lease is held by ${acquired.by.owner}`)
    return acquired.term
  }
  const freeze = (window: Window = wholeWindow) => freezer.freeze(term(), stream_id, () => window)!.batches

  const newOp = ({ args = [], ...op }: PlainOp = {}): NewOp => ({
    op_id: nextId(),
    method: "put",
    args: encodeArgs(args).text,
    depends_on: [],
    references: [],
    want_result: false,
    schema_version: 1,
    actor_id: undefined,
    time_created: clock.now(),
    key: undefined,
    capture_id: undefined,
    stale: false,
    only_if_changed: false,
    depends_on_keys: [],
    ends_keys: undefined,
    ...op,
  })

  return {
    clock,
    connection,
    db,
    streams,
    lease,
    recorder,
    freezer,
    settler,
    knowledge,
    deadLetters: new DeadLetters(recorder, streams, knowledge),
    stream_id,
    newOp,
    stream: () => streams.get(stream_id),
    pending: () => streams.pendingCount(streams.get(stream_id)),
    /** Records each op as a unit of its own, and returns the op_ids. */
    record: (...ops: PlainOp[]) => ops.map((op) => recorder.record(stream_id, [newOp(op)])[0]!.op_id),
    unit: (ops: PlainOp[], bookmark?: Bookmark) => recorder.record(stream_id, ops.map(newOp), bookmark),
    /** The term of this store's own lease, taken if need be. */
    term,
    freeze,
    /** Freezes what is pending and settles it: everything applied, but for the rejections given by op_id. */
    settle(rejected: Record<string, string> = {}, extra: Partial<Settlement> = {}, batches = freeze()) {
      return settler.settle(term(), stream_id, { ...settlementOf(batches, rejected), ...extra })
    },
    /** op_ids that wait for the server, in order. */
    pendingIds: () =>
      db
        .query<{ op_id: string }, []>("select op_id from op_state where state in ('pending', 'in_flight')")
        .all()
        .map((row) => row.op_id),
    stateOf: (op_id: string) => knowledge.stateOf(streams.get(stream_id), op_id),
    close() {
      if (!closed) open.close()
      closed = true
    },
  }
}

/** What a server answers that decided these batches: everything applied, but for the rejections given by op_id. */
export function settlementOf(batches: readonly FrozenBatch[], rejected: Record<string, string> = {}): Settlement {
  let cursor = 0
  return {
    acked: batches.map((batch) => ({
      batch,
      rejected: new Map(
        batch.ops.flatMap(({ op_id }) => {
          const code = rejected[op_id]
          return code ? [[op_id, { code, message: `refused: ${code}` }] as const] : []
        }),
      ),
      results: Object.fromEntries(batch.ops.filter((op) => op.want_result).map(({ op_id }) => [op_id, '{"id":"r"}'])),
      register: { cursor: (cursor += batch.ops.length), head_op_id: batch.ops.at(-1)!.op_id },
    })),
    patch: { attempts: 0, next_attempt_at: null },
    posts: 1,
  }
}
