/** Times in the outbox that no right clock could have written. */
import type { Database } from "bun:sqlite"
import * as limit from "../../intent/limit.ts"
import { printable } from "../output/terminal.ts"
import { agoText, count, untilText } from "../output/words.ts"
import type { Check, Observation } from "./check.ts"

/** Clocks that are set by the network differ by less. */
export const clock_slack_ms = 60_000

const cure =
  "Check this machine's clock. Sturdy goes on all the same: order is by place, and no attempt waits for more than two hours by such a time."

export const clockCheck: Check = {
  name: "clock",
  needs: "database",
  *run({ read, progress }) {
    const now = Date.now()
    progress("looking at every op's time")
    const found = read((db) => [...opsAhead(db, now), ...streamsAhead(db, now)])
    yield* found
    if (found.length === 0) yield { level: "ok", message: "nothing was recorded in the future, nothing waits too long" }
  },
}

function* opsAhead(db: Database, now: number): Generator<Observation> {
  const { ops, latest } = db
    .prepare("select count(*) as ops, max(time_created) as latest from sturdy_op where time_created > ?")
    .get(now + clock_slack_ms) as { ops: number; latest: number | null }
  if (latest === null) return
  yield {
    level: "warning",
    message: `${count(ops, "op was", "ops were")} recorded in the future, up to ${agoText(latest, now)}: the clock was ahead, or is behind now`,
    cure,
    ops,
    latest,
  }
}

interface Times {
  name: string
  block: string | null
  next_attempt_at: number | null
  retry_after_at?: number | null
  time_blocked: number | null
}

function* streamsAhead(db: Database, now: number): Generator<Observation> {
  // All columns: a file which an older Sturdy made has not all of them.
  const streams = db.prepare("select * from sturdy_stream where time_closed is null").all() as Times[]
  for (const stream of streams) {
    const { name, block, next_attempt_at, retry_after_at = null, time_blocked } = stream
    const furthest_ms = block === null ? limit.retry_after_ms_max : 1.5 * limit.probe_delay_ms_max
    const far: string[] = []
    if (next_attempt_at !== null && next_attempt_at > now + furthest_ms + clock_slack_ms)
      far.push(`its next attempt is ${untilText(next_attempt_at, now)}`)
    if (retry_after_at !== null && retry_after_at > now + limit.retry_after_ms_max + clock_slack_ms)
      far.push(`its service asked for silence until ${untilText(retry_after_at, now)}`)
    if (time_blocked !== null && time_blocked > now + clock_slack_ms)
      far.push(`it was blocked ${agoText(time_blocked, now)}`)
    if (far.length > 0)
      yield {
        level: "warning",
        message: `stream ${printable(name)}: ${far.join(", ")}: the clock was ahead when that was written`,
        cure,
        stream: name,
        next_attempt_at,
        retry_after_at,
        time_blocked,
      }
  }
}
