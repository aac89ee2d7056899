/**
 * Does an outbox hold what ARCHITECTURE.md promises, as far as the file itself can tell? Read-only, beside a host that is
 * at work: each rule compares what was read in one short transaction. Memory is bounded, whatever is pending.
 */
import type { Database } from "bun:sqlite"
import { isDamage } from "../../store/fault.ts"
import { firstSeq } from "../../store/stream.ts"
import { checkBatches } from "./batch-rules.ts"
import { checkLetters } from "./dead-letter-rules.ts"
import { OpIds } from "./op-ids.ts"
import { isOrdered, OutboxReader, type StreamPlaces } from "./outbox-reader.ts"
import { checkPlaces } from "./place-rules.ts"
import { checkIds, checkResults, checkStreams, idTables } from "./row-rules.ts"
import { finding, invariants, rules, type Finding, type InvariantName, type RuleCode } from "./rule.ts"
import { streamChecks } from "./stream-facts.ts"
import { readWindow } from "./window.ts"

/** Places of ops looked at, and how many there are, about: a host may record and prune meanwhile. */
export interface CheckProgress {
  kind: "progress"
  checked: number
  of: number
}

/** One of the invariants, when all was looked at. */
export interface CheckedInvariant {
  kind: "checked"
  invariant: InvariantName
  /** e.g. "order" */
  title: string
  /** What was looked at, e.g. "12 batches in 3 streams". */
  what: string
  findings: number
  rules: RuleCode[]
}

/** What was looked at. */
interface Tally {
  streams: number
  ops: number
  batches: number
  letters: number
  results: number
  captures: number
}

/**
 * Every finding as it is met, progress in between, and at the end a word on each invariant.
 *
 * @throws SQLiteError where the database cannot be read for other reasons than damage, e.g. busy
 */
export function* checkInvariants(db: Database): Generator<Finding | CheckProgress | CheckedInvariant, void> {
  const found = new Map<InvariantName, number>()
  const tally: Tally = { streams: 0, ops: 0, batches: 0, letters: 0, results: 0, captures: 0 }
  for (const step of walk(new OutboxReader(db), tally)) {
    if (step.kind === "finding") found.set(step.invariant, (found.get(step.invariant) ?? 0) + 1)
    yield step
  }
  for (const invariant of Object.keys(invariants) as InvariantName[])
    yield {
      kind: "checked",
      invariant,
      title: invariants[invariant],
      what: whatOf(invariant, tally),
      findings: found.get(invariant) ?? 0,
      rules: (Object.keys(rules) as RuleCode[]).filter((code) => rules[code][0] === invariant),
    }
}

function* walk(reader: OutboxReader, tally: Tally): Generator<Finding | CheckProgress, void> {
  yield* attempt(reader, undefined, () => checkStreams(reader))
  const streams: Stretch[] = []
  yield* attempt(reader, undefined, () => {
    for (const stream_id of reader.streamIds()) streams.push(stretchOf(reader, reader.stream(stream_id)!))
    return []
  })
  const progress = { checked: 0, of: streams.reduce((sum, { places }) => sum + places, 0) }
  for (const stretch of streams) {
    tally.streams += 1
    yield* checkOne(reader, stretch, tally, progress)
  }
  for (const table of idTables)
    yield* quietly(reader, undefined, -1, (after) => {
      const look = checkIds(reader, table, after)
      tally.captures += look.count
      return look
    })
}

/** A stream when the check began. */
interface Stretch {
  stream: StreamPlaces
  /** Place behind which it is looked at, and how many there are. */
  from: number
  places: number
}

function stretchOf(reader: OutboxReader, stream: StreamPlaces): Stretch {
  const from = isOrdered(stream) ? stream.pruned_seq : firstSeq(stream.stream_id)
  return { stream, from, places: Math.max(0, (reader.lastOp(stream.stream_id) ?? from) - from) }
}

function* checkOne(
  reader: OutboxReader,
  { stream, from, places }: Stretch,
  tally: Tally,
  progress: { checked: number; of: number },
): Generator<Finding | CheckProgress, void> {
  const { stream_id } = stream
  const first = firstSeq(stream_id)
  const ids = new OpIds(places + stream.dead_count)
  for (const check of streamChecks) yield* attempt(reader, stream, () => check(reader, stream_id))
  yield* quietly(reader, stream, first, (after) => {
    const look = checkLetters(reader, stream_id, after, (seq, op_id) => ids.add(seq, op_id))
    tally.letters += look.count
    return look
  })
  yield* quietly(reader, stream, first, (after) => {
    const look = checkResults(reader, stream_id, after)
    tally.results += look.count
    return look
  })
  const before = progress.checked
  const window = (after: number) => {
    const read = readWindow(reader, stream_id, after)
    if (!read) return { found: [], next: undefined }
    tally.ops += read.ops.filter((op) => op.seq > after).length
    tally.batches += read.batches.filter((batch) => batch.first_seq > after).length
    const tell = (seq: number, op_id: Uint8Array, depends_on?: Uint8Array | null) => ids.add(seq, op_id, depends_on)
    const found = [...checkPlaces(reader, read, tell), ...checkBatches(reader, read)]
    return { found, next: read.isLast ? undefined : read.to }
  }
  for (const step of looks(reader, stream, first, window)) {
    if (step.kind === "finding") yield step
    else {
      progress.checked = before + Math.min(places, Math.max(0, step.at - from))
      yield { kind: "progress", ...progress }
    }
  }
  if (progress.checked < before + places) {
    progress.checked = before + places
    yield { kind: "progress", ...progress }
  }
  yield* attempt(reader, stream, () => ids.check(reader, stream))
}

/** Where the looks have got to. */
interface Reached {
  kind: "reached"
  at: number
}

/** The same, for what needs no progress. */
function* quietly(...args: Parameters<typeof looks>): Generator<Finding, void> {
  for (const step of looks(...args)) if (step.kind === "finding") yield step
}

/** One look after another, each a transaction of its own; up to what cannot be read. */
function* looks(
  reader: OutboxReader,
  stream: StreamPlaces | undefined,
  from: number,
  look: (after: number) => { found: Finding[]; next: number | undefined },
): Generator<Finding | Reached, void> {
  for (let after: number | undefined = from; after !== undefined;) {
    const at: number = after
    let next: number | undefined
    yield* attempt(reader, stream, () => {
      const looked = look(at)
      next = looked.next
      return looked.found
    })
    after = next
    if (after !== undefined) yield { kind: "reached", at: after }
  }
}

/** Nothing is yielded inside of the transaction: it would last as long as whoever listens thinks about it. */
function attempt(reader: OutboxReader, stream: { name: string } | undefined, check: () => Finding[]): Finding[] {
  try {
    return reader.snapshot(check)
  } catch (error) {
    if (!isDamage(error)) throw error
    return [finding("unreadable", stream, `the database is damaged: ${error.message}`)]
  }
}

function whatOf(invariant: InvariantName, tally: Tally): string {
  const { ops, letters, batches, results, captures } = tally
  const inStreams = `in ${count(tally.streams, "stream")}`
  switch (invariant) {
    case "I1":
      return `${count(ops, "op")} and ${count(letters, "dead letter")} ${inStreams}`
    case "I2":
      return `${count(ops, "op")} ${inStreams}`
    case "I3":
    case "I4":
      return `${count(batches, "batch", "batches")} ${inStreams}`
    case "I5":
      return count(tally.streams, "stream")
    case "I6":
      return `${count(ops, "op")}, ${count(results, "result")} and ${count(captures, "capture and item", "captures and items")}`
  }
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`
}
