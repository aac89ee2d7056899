/** `sturdy status`: does anything stand, and why? */
import { readStatus, type StreamSummary } from "../inspect/status.ts"
import { readingOutbox } from "../store/database.ts"
import { type Command, dbOption, print, printJson, printLine } from "./command.ts"

export const status: Command = {
  name: "status",
  summary: "what is pending, what stands, and why",
  usage: "[--db FILE] [--json]",
  help: `
Shows every stream of an outbox: pending ops, dead letters, the next attempt, and what blocks it. Only reads: the
outbox is not changed, and a host that has it open is not disturbed. Exit code 3 if a person is needed.

  --db FILE  the outbox (default: STURDY_DB)
  --json     {"version","pending","dead","streams":[…]}`,
  options: { db: { type: "string" } },
  positionals: 0,
  async run(input) {
    const found = readingOutbox(dbOption(status, input), readStatus)
    if (input.options.json) printJson(found)
    else {
      print(`${found.pending} pending, ${found.dead} dead, ${count(found.streams.length, "stream")}`)
      for (const stream of found.streams) for (const line of linesOf(stream)) printLine(line)
    }
    return found.dead > 0 || found.streams.some((stream) => stream.block !== null) ? 3 : 0
  },
}

function linesOf(stream: StreamSummary): string[] {
  const facts = [`${stream.pending} pending`, `${stream.dead} dead`, `${count(stream.posts, "POST")}`]
  if (stream.twins) facts.push(`${stream.twins} twin`)
  if (stream.server_resets) facts.push(count(stream.server_resets, "server reset"))
  const lines = [`${stream.stream}  ${stream.state}  ${facts.join(", ")}`]
  if (stream.block !== null) {
    const since = stream.time_blocked === null ? "" : ` since ${new Date(stream.time_blocked).toISOString()}`
    lines.push(`  blocked: ${stream.block}${stream.block_message ? ` (${stream.block_message})` : ""}${since}`)
    lines.push(`  ${stream.block_hint}`)
    if (stream.next_attempt_at !== null) lines.push(`  looked at again: ${whenOf(stream)}`)
  } else if (stream.last_error !== null) {
    lines.push(`  ${count(stream.attempts, "failed attempt")}, last: ${stream.last_error}; next ${whenOf(stream)}`)
  } else if (stream.next_attempt_at !== null) {
    lines.push(`  the service, or a gateway before it, asked to wait; next attempt ${whenOf(stream)}`)
  }
  return lines
}

function whenOf({ next_attempt_at }: StreamSummary): string {
  const seconds = next_attempt_at === null ? 0 : Math.ceil((next_attempt_at - Date.now()) / 1000)
  return seconds > 0 ? `in ${seconds} s` : "as soon as a process flushes"
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`
}
