/** Streams that stand, or will: each with the command to go on. */
import type { Database } from "bun:sqlite"
import { readStreams, type StreamSummary } from "../../inspect/status.ts"
import { readLease } from "../../inspect/lease.ts"
import * as limit from "../../intent/limit.ts"
import type { StreamRow } from "../../store/stream.ts"
import { blockText, type Cure, cureOf } from "../text/block-cure.ts"
import { commandLine, optionWords } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { printable } from "../output/terminal.ts"
import { ageText, agoText, bytesText, count } from "../output/words.ts"
import type { Check, Observation } from "./check.ts"

/** A host that is there sends within seconds. */
const unsent_ms = 60_000
/** Streams told of, of those that are wrong in one way; `sturdy streams` has them all. */
const shown_max = 10

export const streamCheck: Check = {
  name: "streams",
  needs: "database",
  *run({ read, place }) {
    const now = Date.now()
    const { streams, isHeld } = read((db) => ({
      streams: readStreams(db).filter(({ state }) => state !== "removed"),
      isHeld: readLease(db, now)?.state === "held",
    }))
    let told = 0
    for (const look of looks) {
      const found = streams.flatMap((stream) => look(stream, place, now, isHeld))
      told += found.length
      yield* found.slice(0, shown_max)
      const more = found.slice(shown_max)
      if (more.length > 0)
        yield {
          level: more.some(({ level }) => level === "wrong") ? "wrong" : "note",
          message: `and ${count(more.length, "more stream")} like these`,
          command: commandLine(place, "streams"),
        }
    }
    const unheard = unanswered(streams, place)
    yield* unheard
    if (told + unheard.length === 0) yield { level: "ok", message: `${count(streams.length, "stream")}, none stands` }
  },
}

type Look = (stream: StreamSummary, place: OutboxPlace, now: number, isHeld: boolean) => Observation[]

const looks: Look[] = [blocked, dead, unsent, resync, odd]

const named = ({ stream }: StreamSummary) => `stream ${printable(stream)}`

function blocked(stream: StreamSummary, place: OutboxPlace, now: number): Observation[] {
  const { block, block_message, time_blocked } = stream
  if (block === null) return []
  const { text, command } = block === "damaged" ? damagedCure(place) : cureOf(block, stream.stream, place)
  const since = time_blocked === null ? "" : `, for ${ageText(time_blocked, now)}`
  const message = `${named(stream)} is blocked: ${blockText(block, block_message)}${since}`
  return [
    { level: "wrong", message, cure: text, ...(command !== undefined && { command }), stream: stream.stream, block },
  ]
}

/** The command that is proposed elsewhere is this one. */
function damagedCure(place: OutboxPlace): Cure {
  return {
    text: "An op is damaged in the file, and nothing behind it is sent: the invariants, above, name it. What is whole:",
    command: commandLine(place, "export"),
  }
}

function dead(stream: StreamSummary, place: OutboxPlace): Observation[] {
  if (stream.dead === 0) return []
  return [
    {
      level: "wrong",
      message: `${named(stream)}: ${count(stream.dead, "dead letter")}, rejected by the service for good`,
      cure: "Look at each, then retry or discard it:",
      command: commandLine(place, "dead", "list", ...optionWords("--stream", stream.stream)),
      stream: stream.stream,
      dead: stream.dead,
    },
  ]
}

/** Nobody has tried. */
function unsent(stream: StreamSummary, place: OutboxPlace, now: number, isHeld: boolean): Observation[] {
  const { pending, block, attempts, time_oldest, next_attempt_at } = stream
  const isOld = time_oldest !== null && time_oldest < now - unsent_ms
  if (pending === 0 || block !== null || attempts > 0 || next_attempt_at !== null || isHeld || !isOld) return []
  return [
    {
      level: "warning",
      message: `${named(stream)}: ${count(pending, "op waits", "ops wait")}, the oldest from ${agoText(time_oldest, now)}, and nobody sends`,
      cure: "Start the program that records, or send now:",
      command: commandLine(place, "flush"),
      stream: stream.stream,
      pending,
    },
  ]
}

/** Tried, and never once heard of: by service, since its streams share that. */
function unanswered(streams: readonly StreamSummary[], place: OutboxPlace): Observation[] {
  const unheard = streams.filter(
    ({ posts, attempts, epoch, block, pending }) =>
      posts > 0 && attempts > 0 && epoch === null && block === null && pending > 0,
  )
  return [...Map.groupBy(unheard, ({ service }) => service)].map(([service, of]) => {
    const [{ stream, attempts, last_error }] = of as [StreamSummary, ...StreamSummary[]]
    const others = of.length > 1 ? ` and ${count(of.length - 1, "other")}` : ""
    return {
      level: "warning",
      message: `stream ${printable(stream)}${others}: never answered, in ${count(attempts, "attempt")} (${printable(last_error ?? "?")}), by ${printable(service)}`,
      cure: "Check the address and the network; it goes on by itself. Where it goes:",
      command: commandLine(place, "ref", "show", { name: stream }),
      service,
      streams: of.length,
      last_error,
    }
  })
}

function resync(stream: StreamSummary): Observation[] {
  if (stream.resync_owed === null) return []
  return [
    {
      level: "warning",
      message: `${named(stream)}: the host's resync hook is still to be told: ${printable(stream.resync_owed)}`,
      cure: "It is told when a program with that hook runs and the stream has drained; without one, what is missing at the service stays missing.",
      stream: stream.stream,
      resync_owed: stream.resync_owed,
    },
  ]
}

function odd(stream: StreamSummary): Observation[] {
  const { twins, server_resets } = stream
  const told: string[] = []
  if (twins > 0) told.push(`${count(twins, "twin")} met: this outbox, or a copy of it, was restored or copied`)
  if (server_resets > 0) told.push(`${count(server_resets, "server reset")}: the service lost what it had acknowledged`)
  if (told.length === 0) return []
  return [
    {
      level: "note",
      message: `${named(stream)}: ${told.join("; ")}; handled`,
      stream: stream.stream,
      twins,
      server_resets,
    },
  ]
}

export const sizeCheck: Check = {
  name: "sizes",
  needs: "database",
  *run({ read, place, progress }) {
    progress("looking at the size of every pending op")
    const found = read((db) => oversized(db, place))
    yield* found
    if (found.length === 0) yield { level: "ok", message: "every pending op is within what its service takes" }
  },
}

const post_room_bytes = limit.post_bytes_max - limit.post_overhead_bytes

interface LargeOp {
  op_id: string
  method: string
  bytes: number
}

/** By arguments: what else is in an op is at most a few KiB. */
function oversized(db: Database, place: OutboxPlace): Observation[] {
  const streams = db.prepare("select * from sturdy_stream where time_closed is null").all() as StreamRow[]
  const large = db.prepare(
    `select hex(op_id) as op_id, method, length(cast(args as blob)) as bytes from sturdy_op
     where seq > ?1 and seq < (?2 + 1) << 32 and length(cast(args as blob)) >= ?3 order by bytes desc limit 1`,
  )
  return streams.flatMap(({ name, stream_id, cursor, op_bytes_max }): Observation[] => {
    const granted = op_bytes_max ?? limit.op_bytes_max
    const op = large.get(cursor, stream_id, Math.floor(0.9 * granted)) as LargeOp | null
    if (!op) return []
    const { bytes, method } = op
    const what = `stream ${printable(name)}: ${printable(method)} has ${bytesText(bytes)}`
    const facts = { stream: name, bytes, op_bytes_max: granted }
    const command = commandLine(place, "ops", ...optionWords("--stream", name), "--state", "pending")
    if (bytes > post_room_bytes)
      return [
        {
          level: "wrong",
          message: `${what}, more than one POST can carry (${bytesText(post_room_bytes)}): it can never be sent`,
          cure: "Another program wrote it, or the file is damaged. See it, and what waits behind it:",
          command,
          ...facts,
        },
      ]
    if (bytes > granted)
      return [
        {
          level: "warning",
          message: `${what}, and its service takes ${bytesText(granted)}: it lowered its limit after this was recorded`,
          cure: "Raise the limit of the service, or of the proxy before it; else the stream will be blocked. See it:",
          command,
          ...facts,
        },
      ]
    return [{ level: "note", message: `${what}, near the ${bytesText(granted)} that its service takes`, ...facts }]
  })
}
