/** `sturdy flush`: what is pending sent now, with progress. */
import { type LeaseSummary, readLease } from "../inspect/lease.ts"
import { isQuiet, readStatus, type Status } from "../inspect/status.ts"
import type { FlushReport } from "../answers.ts"
import type { Outbox } from "../index.ts"
import { actingOutbox } from "./outbox/acting.ts"
import { blockText, cureOf } from "./text/block-cure.ts"
import { type Command, CommandError, type ExitCode, type Input, numberOption } from "./input/command.ts"
import { ask, isInteractive } from "./input/confirm.ts"
import { holderText } from "./text/lease-text.ts"
import { commandLine } from "./outbox/command-line.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, type OutboxPlace } from "./outbox/outbox-place.ts"
import { ProgressLine } from "./output/progress.ts"
import { headerHelp, headerOptions, headersOption, headerUsage } from "./input/service-header.ts"
import { stopped } from "./input/stopped.ts"
import { print, printable, printJson } from "./output/terminal.ts"
import { count, untilText } from "./output/words.ts"

export const flush: Command = {
  name: "flush",
  summary: "send what is pending, now, and show how it goes",
  usage: `[--wait] [--timeout SECONDS] ${headerUsage} ${dbUsage} [--json]`,
  help: `
Sends what is pending, as the program that records would: takes the lease, waits through outages with backoff, and ends when
everything that was recorded before is settled or its stream is blocked. If another process holds the lease, that one is
sending: says who, and offers to wait for it. Stopped at any point nothing is lost.

  --wait                      wait for the process that holds the lease, without asking
  --timeout SECONDS           give up after so long; what is left stays pending
${headerHelp}
${dbHelp}
  --json                      {"version","settled","pending","dead","blocked":[…]}

Exit codes: 0 all settled; 1 not in time, or another process is at it; 3 a stream stands, or something was rejected meanwhile.`,
  options: {
    ...dbOption,
    wait: { type: "boolean" },
    timeout: { type: "string" },
    ...headerOptions,
  },
  positionals: 0,
  async run(input) {
    const seconds = numberOption(flush, input, "timeout", { min: 1, max: 86_400 })
    const { lease, status, place } = lookAtOutbox(input, (db, place) => ({
      place,
      lease: readLease(db, Date.now()),
      status: readStatus(db),
    }))
    const headers = headersOption(flush, input, servicesOf(status))
    if (lease?.state === "held" && !(await waitsFor(lease, { status, input, place }))) return 1
    return actingOutbox(
      input,
      (outbox, place) => flushed(outbox, { input, place, dead: status.dead, limit_ms: seconds && seconds * 1000 }),
      headers && { headers },
    )
  },
}

function servicesOf({ streams }: Status): string[] {
  const owing = streams.filter((stream) => !isQuiet(stream))
  return (owing.length > 0 ? owing : streams).map(({ service }) => service)
}

interface Held {
  status: Status
  input: Input
  place: OutboxPlace
}

/** True if whoever holds the lease is to be waited for. */
async function waitsFor(lease: LeaseSummary, { status, input, place }: Held): Promise<boolean> {
  if (input.options.wait) return true
  const who = `${holderText(lease)}${lease.alive ? "" : " (of which nothing is known here)"} holds the lease and sends what is pending${nextOf(status)}`
  if (isInteractive() && !input.options.json) return ask(`${who}. Wait for it?`, true)
  throw new CommandError(`${who}. Say --wait to wait for it; \`${commandLine(place, "watch")}\` shows how it goes`)
}

/** It keeps the lease while it waits, for what a Retry-After or its backoff says: nobody else may hurry it. */
function nextOf({ streams }: Status): string {
  const pending = streams.filter(({ pending, block }) => pending > 0 && block === null)
  if (pending.some(({ next_attempt_at }) => next_attempt_at === null)) return ""
  const next = Math.min(...pending.map(({ next_attempt_at }) => next_attempt_at!))
  return next === Infinity ? "" : `, next ${untilText(next, Date.now())}`
}

interface Flushing {
  input: Input
  place: OutboxPlace
  /** Dead letters before. */
  dead: number
  limit_ms: number | undefined
}

async function flushed(outbox: Outbox, { input, place, dead, limit_ms }: Flushing): Promise<ExitCode> {
  const progress = new ProgressLine()
  const total = pendingOf(outbox)
  const show = () => progress.show("settled", Math.max(0, total - pendingOf(outbox)), total)
  const unlisten = [
    outbox.on("acked", show),
    outbox.on("failed", ({ stream, message, next_attempt_at }) =>
      progress.note(
        printable(`${stream}: ${message}; tried again ${untilText(next_attempt_at, Date.now())}, nothing is lost`),
      ),
    ),
    outbox.on("rejected", ({ stream, op_id, code, message }) =>
      progress.note(printable(`${stream}: ${op_id} was rejected for good: ${code}, ${message}`)),
    ),
  ]
  // What another process settles is told by nobody.
  const looking = setInterval(show, 200)
  try {
    outbox.resume()
    const report = await withinTime(outbox, limit_ms)
    show()
    progress.end()
    return told(outbox, report, { input, place, dead, limit_ms })
  } finally {
    clearInterval(looking)
    for (const end of unlisten) end()
    progress.end()
  }
}

const pendingOf = (outbox: Outbox) => outbox.streams().reduce((sum, stream) => sum + stream.status().pending, 0)

/** Undefined if it took longer, or the person has seen enough. */
async function withinTime(outbox: Outbox, limit_ms: number | undefined): Promise<FlushReport | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = limit_ms === undefined ? undefined : setTimeout(resolve, limit_ms)
  const { asked, done } = stopped()
  try {
    return await Promise.race([outbox.flush(), late.then(() => undefined), asked.then(() => undefined)])
  } finally {
    clearTimeout(timer)
    done()
  }
}

function told(outbox: Outbox, report: FlushReport | undefined, { input, place, dead }: Flushing): ExitCode {
  const pending = pendingOf(outbox)
  const dead_now = outbox.streams().reduce((sum, stream) => sum + stream.status().dead, 0)
  const blocked = report?.blocked ?? []
  if (input.options.json) printJson({ version: 1, settled: report?.settled ?? false, pending, dead: dead_now, blocked })
  else {
    for (const { stream, reason, message } of blocked) {
      const { text, command } = cureOf(reason, stream, place)
      print(`${printable(stream)} is blocked: ${blockText(reason, message)}`)
      print(`  ${text}${command === undefined ? "" : `\n    ${command}`}`)
    }
    if (report === undefined) print(`stopped: ${count(pending, "op")} still pending, nothing is lost`)
    else print(report.settled ? "everything is settled" : `${count(pending, "op")} still pending`)
    if (dead_now > 0) print(`${count(dead_now, "dead letter")}: ${commandLine(place, "dead", "list")}`)
  }
  if (report === undefined) return 1
  return report.settled && dead_now <= dead ? 0 : 3
}
