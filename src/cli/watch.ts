/** `sturdy watch`: an outbox as it lives. */
import type { SturdyError } from "../intent/error.ts"
import { changesBetween } from "../inspect/changes.ts"
import { type Look, readLook } from "../inspect/look.ts"
import { matches } from "../inspect/name-pattern.ts"
import { needsPerson } from "../inspect/status.ts"
import {
  type Command,
  exitOf,
  type Input,
  numberOption,
  textOption,
  UsageError,
  type ExitCode,
} from "./input/command.ts"
import { checkStreams } from "./input/known-stream.ts"
import { stopped } from "./input/stopped.ts"
import { looks, type Seen } from "./watch/looks.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, type OutboxPlace } from "./outbox/outbox-place.ts"
import { JsonReport, LinesReport, ScreenReport, type WatchReport } from "./watch/watch-report.ts"

const interval_s = 1
/** A look takes less than a millisecond; more of them than a person can read are of no use. */
const interval_s_min = 0.1
const interval_s_max = 3_600

export const watch: Command = {
  name: "watch",
  summary: "a live view: pending, rates, attempts, acks, blocks, lease, events",
  usage: `${dbUsage} [--interval SECONDS] [--stream NAME] [--count N] [--json]`,
  help: `
Looks at an outbox again and again. On a terminal a view in place, which q ends; elsewhere a line per event. Only reads:
each look holds the file for less than a millisecond, and a host that has it open is not disturbed. An outbox that goes,
is replaced or cannot be read meanwhile is told, and looked for again. Events are what differs between two looks.

${dbHelp}
  --interval SECONDS  from look to look (default: ${interval_s}, from ${interval_s_min})
  --stream NAME       of this stream only; * stands for any text
  --count N           ends after so many looks, with exit code 3 if a person is needed then
  --json              a line per event, then one per look: {"version","time","type":"look","pending","dead",
                      "recorded_per_s","settled_per_s","posts_per_s","needs_person","lease","streams":[those that changed]}`,
  options: {
    ...dbOption,
    interval: { type: "string" },
    stream: { type: "string" },
    count: { type: "string" },
  },
  positionals: 0,
  async run(input) {
    const interval_ms = 1_000 * secondsOption(input)
    const count = numberOption(watch, input, "count", { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? Infinity
    const stream = textOption(input, "stream")
    const { place, first } = readOutbox(input, (db, place) => {
      checkStreams(db, stream)
      return { place, first: readLook(db, Date.now()) }
    })
    const ended = new AbortController()
    const end = () => ended.abort()
    const { asked, done } = stopped(["SIGINT", "SIGTERM", "SIGHUP"])
    void asked.then(end)
    try {
      using report = reportFor(input, place, end)
      const last = await tellAll(report, looks(place, first, { interval_ms, count, signal: ended.signal }), stream)
      return ended.signal.aborted ? 0 : exitAfter(last)
    } finally {
      done()
    }
  },
}

/** What the last look showed. */
interface Last {
  look: Look | undefined
  fault: SturdyError | undefined
}

async function tellAll(report: WatchReport, all: AsyncIterable<Seen>, pattern: string | undefined) {
  const last: Last = { look: undefined, fault: undefined }
  for await (const seen of all) {
    if ("fault" in seen) {
      report.lost(seen.fault, seen.time, seen.fault.code !== last.fault?.code)
      last.fault = seen.fault
      continue
    }
    if (last.fault) report.found(seen.look.time)
    const look = { ...seen.look, streams: seen.look.streams.filter(({ stream }) => matches(pattern, stream)) }
    report.seen(look, last.look ? changesBetween(last.look, look) : [])
    last.look = look
    last.fault = undefined
  }
  return last
}

function exitAfter({ look, fault }: Last): ExitCode {
  if (fault) return exitOf(fault)
  return look?.streams.some(needsPerson) ? 3 : 0
}

function reportFor(input: Input, place: OutboxPlace, end: () => void): WatchReport {
  if (input.options.json) return new JsonReport()
  const canDraw = process.stdout.isTTY && process.env.TERM !== "dumb"
  return canDraw ? new ScreenReport(place, end) : new LinesReport()
}

/** @throws UsageError */
function secondsOption(input: Input): number {
  const text = textOption(input, "interval")
  if (text === undefined) return interval_s
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN
  if (value >= interval_s_min && value <= interval_s_max) return value
  throw new UsageError(`--interval must be seconds from ${interval_s_min} to ${interval_s_max}, got ${text}`, watch)
}
