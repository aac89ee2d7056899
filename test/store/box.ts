/** The parts of the client store on a real file, with a clock that is turned by hand. */
import type { Database } from "bun:sqlite"
import { encodeArgs } from "../../src/intent/codec.ts"
import * as limit from "../../src/intent/limit.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { ulidFactory } from "../../src/intent/ulid.ts"
import type { OutboxOptions } from "../../src/options.ts"
import { openOutbox } from "../../src/outbox.ts"
import type { Bookmark } from "../../src/store/capture.ts"
import { openDatabase } from "../../src/store/database.ts"
import { Freezer, type FrozenBatch } from "../../src/store/freeze.ts"
import { Knowledge } from "../../src/store/knowledge.ts"
import { Lease } from "../../src/store/lease.ts"
import type { NewOp } from "../../src/store/new-op.ts"
import { processIdentity } from "../../src/store/process-identity.ts"
import { Recorder } from "../../src/store/record.ts"
import { type Settlement, Settler } from "../../src/store/settle.ts"
import { Streams } from "../../src/store/stream.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"

export const ref = {
  service: "https://notes.example.com/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "secret_of_the_test_0123456789abcdef",
}

export function seamsOf(clock: ManualClock) {
  return { clock, random: systemRandom, crashPoint: () => {} }
}

export type Op = Partial<Omit<NewOp, "args">> & { args?: readonly unknown[] }

export interface StoreOptions {
  clock?: ManualClock
  outbox_bytes_max?: number
}

export type Box = ReturnType<typeof openStore>

export function openStore(where: string | Database, options: StoreOptions = {}) {
  const clock = options.clock ?? new ManualClock()
  const seams = seamsOf(clock)
  const open = openDatabase(typeof where === "string" ? where : { database: where }, seams)
  const { connection } = open
  const { db } = connection
  const ulid = ulidFactory(clock, systemRandom)
  const streams = new Streams(connection)
  const lease = new Lease(connection, ulid(), processIdentity(), limit.lease_ms)
  const recorder = new Recorder(connection, options.outbox_bytes_max ?? limit.outbox_bytes_max)
  const freezer = new Freezer(connection, streams, lease, ulid)
  const settler = new Settler(connection, streams, lease)
  const { stream_id } = streams.open("notes", ref, undefined)
  let closed = false

  const takeTerm = () => {
    const row = lease.read()
    if (row && lease.isHeld(row.term)) return row.term
    const acquired = lease.acquire()
    if (!acquired.held) throw new Error(`the lease is held by ${acquired.by.owner}`)
    return acquired.term
  }
  const freeze = (window = { batches_max: 8, bytes_max: limit.post_bytes_max }) =>
    freezer.freeze(takeTerm(), stream_id, () => window)!.batches

  const newOp = ({ args = [], ...op }: Op = {}): NewOp => ({
    op_id: ulid(),
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
    knowledge: new Knowledge(connection),
    stream_id,
    newOp,
    stream: () => streams.get(stream_id),
    pending: () => streams.pendingCount(streams.get(stream_id)),
    /** Records each op as a unit of its own, and returns the op_ids. */
    record: (...ops: Op[]) => ops.map((op) => recorder.record(stream_id, [newOp(op)])[0]!.op_id),
    unit: (ops: Op[], bookmark?: Bookmark) => recorder.record(stream_id, ops.map(newOp), bookmark),
    /** The term of this store's own lease, taken if need be. */
    term: takeTerm,
    freeze,
    /** Freezes what is pending and settles it: everything applied, but for the rejections given by op_id. */
    settle(rejected: Record<string, string> = {}, extra: Partial<Settlement> = {}, batches = freeze()) {
      return settler.settle(takeTerm(), stream_id, { ...settlementOf(batches, rejected), ...extra })
    },
    /** op_ids that are in the table, in order, as far as they wait. */
    pendingIds: () =>
      db
        .query<{ op_id: string }, []>("select op_id from op_state where state in ('pending', 'in_flight') ")
        .all()
        .map((row) => row.op_id),
    state: (op_id: string) =>
      db
        .query<{ state: string; attempts: number; next_retry_at: number | null; last_error: string | null }, [string]>(
          "select state, attempts, next_retry_at, last_error from op_state where op_id = ?",
        )
        .all(op_id),
    count: (table: string) => db.query<{ n: number }, []>(`select count(*) as n from ${table}`).get()!.n,
    close() {
      if (!closed) open.close()
      closed = true
    },
    [Symbol.dispose]() {
      this.close()
    },
  }
}

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

/** The outbox as a host has it: nothing is sent, and time stands still unless the clock is turned. */
export function openQuietOutbox(where: string | Database, options: OutboxOptions & { clock?: ManualClock } = {}) {
  const { clock = new ManualClock(), ...rest } = options
  const outbox = openOutbox(typeof where === "string" ? where : { database: where }, { seams: seamsOf(clock), ...rest })
  outbox.pause()
  return {
    outbox,
    clock,
    notes: outbox.stream("notes", ref),
    async [Symbol.asyncDispose]() {
      await outbox.close({ flush_ms: 0 })
    },
  }
}
