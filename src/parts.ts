/** The parts of an outbox, built and tied together: the one composition root of the client. */
import * as limit from "./intent/limit.ts"
import type { Seams } from "./intent/seam.ts"
import { randomId, ulidFactory, type UlidFactory } from "./intent/ulid.ts"
import { Answers } from "./answers.ts"
import { DiskBlock } from "./flusher/disk-block.ts"
import { Flusher } from "./flusher/flusher.ts"
import { Rotations } from "./flusher/rotation.ts"
import { Events } from "./inspect/event.ts"
import { backoffOf, type OutboxOptions } from "./options.ts"
import { Resyncs } from "./resync.ts"
import { Checkpoints } from "./store/checkpoint.ts"
import type { Connection } from "./store/connection.ts"
import { chooseDurability, type Durability } from "./store/durability.ts"
import { Freezer } from "./store/freeze.ts"
import { Knowledge } from "./store/knowledge.ts"
import { Lease } from "./store/lease.ts"
import { processIdentity } from "./store/process-identity.ts"
import { Recorder } from "./store/record.ts"
import { OwedResyncs } from "./store/resync.ts"
import { Rotator } from "./store/rotation.ts"
import { Settler } from "./store/settle.ts"
import { Streams } from "./store/stream.ts"
import type { Stream } from "./stream.ts"
import { Units } from "./units.ts"
import { httpTransport } from "./wire/http.ts"
import { rpc } from "./wire/session.ts"

export interface OutboxParts {
  events: Events
  ulid: UlidFactory
  streams: Streams
  recorder: Recorder
  durability: Durability
  checkpoints: Checkpoints | undefined
  diskBlock: DiskBlock
  answers: Answers
  units: Units
  flusher: Flusher
  rotations: Rotations
  /** Only for a host that has the hook: another process may have it. */
  resyncs: Resyncs | undefined
}

/** What the parts ask of the outbox that owns them. */
export interface PartsOwner {
  stream(name: string): Stream
  /** Anything may have been settled. */
  changed(): void
  wakeFor(ops: number): void
  wake(): void
}

export function buildParts(
  connection: Connection,
  seams: Seams,
  options: OutboxOptions,
  owner: PartsOwner,
): OutboxParts {
  const { clock, random } = seams
  const events = new Events()
  const ulid = ulidFactory(clock, random)
  const streams = new Streams(connection)
  const lease = new Lease(connection, randomId(random, 128), processIdentity(), options.leaseMs ?? limit.lease_ms)
  const settler = new Settler(connection, streams, lease)
  const recorder = new Recorder(connection, options.outboxBytesMax, () => settler.retention.makeRoom())
  const knowledge = new Knowledge(connection)
  const durability = chooseDurability(connection)
  const checkpoints = connection.file ? new Checkpoints(connection, durability) : undefined
  const diskBlock = new DiskBlock(events, () => connection.moved(), connection.file)
  const answers = new Answers(knowledge, streams, diskBlock, clock)
  const units = new Units({
    recorder,
    streams,
    knowledge,
    durability,
    checkpoints,
    diskBlock,
    events,
    wake: (ops) => owner.wakeFor(ops),
  })
  const transport = options.transport ?? httpTransport(clock)
  const protocols = options.protocols ?? [rpc]
  const headers = options.headers ?? (() => ({}))
  const flusher = new Flusher(
    {
      freezer: new Freezer(connection, streams, lease, ulid),
      settler,
      knowledge,
      streams,
      transport,
      protocols,
      seams,
      events,
      diskBlock,
      headers,
      backoff: backoffOf(options),
      changed: () => answers.changed(),
      failed: (error) => answers.fail(error),
    },
    lease,
    () => owner.changed(),
    (error) => answers.end(error),
  )
  const rotations = new Rotations({
    rotator: new Rotator(connection, streams),
    durability,
    transport,
    protocols,
    headers,
    seams,
    events,
    hurry: (stream_id) => flusher.hurry(stream_id),
  })
  const { resync } = options
  const resyncs =
    resync &&
    new Resyncs({
      owed: new OwedResyncs(connection, streams),
      events,
      clock,
      hook: ({ name, reason }) => resync(owner.stream(name), reason),
      wake: () => owner.wake(),
    })
  return {
    events,
    ulid,
    streams,
    recorder,
    durability,
    checkpoints,
    diskBlock,
    answers,
    units,
    flusher,
    rotations,
    resyncs,
  }
}
