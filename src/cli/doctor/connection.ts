/**
 * What the services answer: each share that has something to send, or stands, is redeemed, which only reads. No share is
 * made, no batch sent; what an answer means, the flusher's own verdict says.
 */
import type { Database } from "bun:sqlite"
import { probeOf } from "../../flusher/block.ts"
import { systemSeams } from "../../intent/system.ts"
import { Connection } from "../../store/connection.ts"
import { Knowledge } from "../../store/knowledge.ts"
import type { StreamRow } from "../../store/stream.ts"
import type { GrantFacts } from "../../wire/contract.ts"
import { cureOf } from "../text/block-cure.ts"
import { commandLine } from "../outbox/command-line.ts"
import { printable } from "../output/terminal.ts"
import { count, durationText } from "../output/words.ts"
import type { Check, Context, Observation } from "./check.ts"
import { clock_slack_ms } from "./clock.ts"
import { type Answered, askService } from "./redeem.ts"

/** Asked of one service; the others of it will hear the same. */
const shares_max = 3
/** For all services together: a person is waiting. */
const budget_ms = 20_000

export const connectionCheck: Check = {
  name: "connection",
  needs: "database",
  async *run(context) {
    const services = context.read(streamsToAsk)
    if (services.size === 0) {
      yield { level: "ok", message: "no stream has anything to send: no service was asked" }
      return
    }
    if (context.offline) {
      yield { level: "note", message: `${count(services.size, "service")} not asked (--offline)` }
      return
    }
    context.progress(`asking ${count(services.size, "service")}`)
    const overdue = new AbortController()
    // Held: a request in flight keeps no process alive.
    const timer = setTimeout(() => overdue.abort(), budget_ms)
    try {
      const asked = [...services].map(([service, streams]) =>
        askService(streams.slice(0, shares_max), context.headersFor(service), overdue.signal),
      )
      for (const answers of await Promise.all(asked)) {
        for (const answered of answers) yield observed(context, answered, overdue.signal.aborted)
        yield* clockOf(answers)
      }
    } finally {
      clearTimeout(timer)
    }
  },
}

export function servicesToAsk(db: Database): string[] {
  return [...streamsToAsk(db).keys()]
}

/** By service: blocked ones first, since their answer says most; never one that was removed. */
function streamsToAsk(db: Database): Map<string, StreamRow[]> {
  const rows = db
    .prepare(
      `select * from sturdy_stream stream where time_closed is null and (block is not null or time_removal is not null
         or (session_id is not null and granted = 0)
         or exists (select 1 from sturdy_op where seq > stream.cursor and seq < (stream.stream_id + 1) << 32))
       order by block is null, stream_id`,
    )
    .all() as StreamRow[]
  return Map.groupBy(rows, (row) => row.service)
}

function observed(context: Context, { stream, meaning, ms, protocol }: Answered, isOverdue: boolean): Observation {
  const who = `${printable(stream.service)} (stream ${printable(stream.name)})`
  const facts = { stream: stream.name, service: stream.service, ms: Math.round(ms), protocol: protocol ?? null }
  switch (meaning.kind) {
    case "untried":
      return { level: "note", message: `${who} was not asked: ${meaning.why}`, ...facts }
    case "granted":
      return { ...grantText(context, who, stream, meaning.grant, facts), ...facts, ...grantFacts(meaning.grant) }
    case "yet to be created":
      return {
        level: "ok",
        message: `${who} answers in ${facts.ms} ms; the share is created when the stream is first sent`,
        ...facts,
      }
    case "lost":
      return {
        level: "warning",
        message: `${who} has lost the share (${printable(meaning.message)}): it is created again by itself`,
        ...facts,
      }
    case "blocked": {
      const { text, command } = cureOf(meaning.reason, stream.name, context.place)
      const message = `${who}: ${meaning.reason}: ${printable(meaning.message)}`
      const known = {
        level: "note",
        message: `${message}; for that the stream is blocked`,
        code: meaning.reason,
      } as const
      if (stream.block === meaning.reason) return { ...known, ...facts }
      return { level: "wrong", message, cure: text, command, code: meaning.reason, ...facts }
    }
    case "unanswered": {
      const { code } = meaning
      const isCut = code === "aborted" && isOverdue
      const message = isCut
        ? `no whole answer within ${budget_ms / 1000} s`
        : `${printable(code)}: ${printable(meaning.message)}`
      return { level: "warning", message: `${who}: ${message}`, cure: unansweredCure, code, ...facts }
    }
  }
}

const unansweredCure = "Check the network and the service; nothing is lost, and what waits goes on by itself."

function grantFacts({ service_id, epoch, scopes, cursor, head_op_id, limits }: GrantFacts) {
  return { service_id, epoch, scopes, cursor, head_op_id, limits }
}

function grantText(
  context: Context,
  who: string,
  stream: StreamRow,
  grant: GrantFacts,
  { ms, protocol }: { ms: number; protocol: string | null },
): Observation {
  const said = `${who} answers in ${ms} ms by ${protocol ?? "?"}: epoch ${grant.epoch}, scopes ${printable(grant.scopes.join(", ")) || "none"}`
  if (!grant.scopes.includes("append"))
    return {
      level: "wrong",
      message: `${said}: this capability may not append`,
      cure: "Ask the share's owner for one with the scope append; the same ops go on with",
      command: commandLine(context.place, "unblock", { name: stream.name }, "--secret-file", "FILE"),
    }
  const register = registerText(context, stream, grant)
  const message = `${said}; ${register.message}`
  if (register.level !== "ok" || stream.block === null || probeOf(stream.block) !== "redeem")
    return { ...register, message }
  return {
    level: "note",
    message: `${message}; what blocks the stream seems to be gone`,
    cure: "It goes on by itself at the next look; to look now:",
    command: commandLine(context.place, "unblock", { name: stream.name }),
  }
}

/** Its register beside the base from which the next batch starts. Read again: a host may have sent meanwhile. */
function registerText(context: Context, before: StreamRow, { cursor, head_op_id }: GrantFacts): Observation {
  return context.read((db): Observation => {
    const stream = db.prepare("select * from sturdy_stream where stream_id = ?").get(before.stream_id) as StreamRow
    const at = `register ${cursor.toLocaleString("en")}`
    const isAsHere = (row: StreamRow) => row.base_cursor === cursor && row.base_head_op_id === head_op_id
    if (isAsHere(stream) || isAsHere(before)) return { level: "ok", message: `${at}, as here` }
    const here = `here ${stream.base_cursor.toLocaleString("en")}`
    if (stream.post_count !== before.post_count)
      return { level: "note", message: `${at}, ${here}: a host sends just now` }
    if (cursor < stream.base_cursor)
      return {
        level: "warning",
        message: `${at}, ${here}: the service lost what it had acknowledged`,
        cure: `It is sent again by itself as far as it is kept here: ${count(stream.retained_ops, "op")}. For the rest the host's resync hook is told.`,
      }
    const knowledge = new Knowledge(new Connection(db, systemSeams, undefined))
    if (head_op_id !== null && knowledge.knowsOp(stream, head_op_id))
      return { level: "note", message: `${at}, ${here}: an answer was lost; the same is sent again and counts once` }
    return {
      level: "warning",
      message: `${at}, ${here}, with an op that is not known here: this outbox, or a copy of it, was restored or copied (a twin)`,
      cure: "Run one copy only. It goes on by itself behind what is there; the host's resync hook is told.",
    }
  })
}

/** This machine's clock beside each service's: what expires, and Retry-After as a date, go by them. */
function* clockOf(answers: readonly Answered[]): Generator<Observation> {
  const answered = answers.find(({ clock }) => clock !== undefined)
  if (!answered?.clock) return
  const { service_ms, ours_ms } = answered.clock
  const off_ms = ours_ms - service_ms
  if (Math.abs(off_ms) < clock_slack_ms) return
  yield {
    level: "warning",
    message: `this machine's clock is ${durationText(Math.abs(off_ms))} ${off_ms > 0 ? "ahead of" : "behind"} that of ${printable(answered.stream.service)}`,
    cure: "Set the clock that is wrong: when capabilities expire, and how long to wait, goes by them.",
    service: answered.stream.service,
    off_ms,
  }
}
