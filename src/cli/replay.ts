/** `sturdy replay`: the main job on recorded input. */
import { homedir } from "node:os"
import { join, resolve } from "node:path"
import { feedRecording } from "../opencode/replay.ts"
import { openOutbox, type Outbox } from "../outbox.ts"
import { endpointOf, endpointProblem } from "../wire/endpoint.ts"
import { type Command, type ExitCode, textOption, UsageError } from "./input/command.ts"
import { note, print, printJson } from "./output/terminal.ts"
import { ProgressLine } from "./output/progress.ts"

export const replay: Command = {
  name: "replay",
  summary: "feed a recorded opencode bus stream to a share service, through an outbox",
  usage: "RECORDING --server URL [--db FILE] [--json]",
  help: `
Reads a recording, lines {"t": ms, "event": {id, type, properties}} (plain or .gz), as fast as it can, shares every
session in it, and waits until all is settled or removed. Stopped at any point and run again on the same outbox, it
goes on where it was, and nothing is doubled.

  --server URL  the share service, e.g. http://127.0.0.1:8787
  --db FILE     the outbox (default: one per server and recording in the data directory; it is printed)
  --json        the last line is {"events","ops","batches","posts","pending","dead","shares":[…]}

Example: sturdy replay test/fixture/recordings/short-text.jsonl --server http://127.0.0.1:8787`,
  options: { server: { type: "string" }, db: { type: "string" } },
  positionals: 1,
  async run(input) {
    const recording = input.positionals[0]!
    const service = serviceNamed(textOption(input, "server"))
    const db = textOption(input, "db") ?? process.env.STURDY_DB ?? defaultOutbox(service, recording)
    if (!input.options.json) note(`outbox: ${db}`)
    const outbox = openOutbox(db)
    const progress = new ProgressLine()
    const unlisten = outbox.on("failed", ({ stream, code, message, next_attempt_at }) => {
      const seconds = Math.max(0, Math.ceil((next_attempt_at - Date.now()) / 1000))
      if (seconds === 0) return
      const doubt = noService.test(code) ? " (is there a share service at --server?)" : ""
      progress.note(`${stream}: ${message}${doubt}; trying again in ${seconds} s, nothing is lost`)
    })
    try {
      return await run(recording, service, outbox, progress, input.options.json === true)
    } finally {
      unlisten()
      progress.end()
      await outbox.close({ flush_ms: 0 })
    }
  },
}

async function run(
  recording: string,
  service: string,
  outbox: Outbox,
  progress: ProgressLine,
  json: boolean,
): Promise<ExitCode> {
  const replayed = await feedRecording(recording, outbox, service, ({ events, fed }) =>
    progress.show("recording events", fed, events),
  )
  progress.end()
  const report = await outbox.flush()
  const sessions = new Set(replayed.sessions)
  const statuses = outbox
    .streams()
    .map((stream) => stream.status())
    .filter((status) => sessions.has(status.name))
  const sum = (count: (status: (typeof statuses)[number]) => number) =>
    statuses.reduce((total, status) => total + count(status), 0)
  const summary = {
    events: replayed.events,
    ops: sum((status) => status.recorded),
    batches: sum((status) => status.batches),
    posts: sum((status) => status.posts),
    pending: sum((status) => status.pending),
    dead: sum((status) => status.dead),
    shares: statuses.map(({ name, share_id, url, removed }) => ({
      session_id: name,
      share_id,
      url: url ?? null,
      removed,
    })),
  }
  for (const { stream, reason, message } of report.blocked) note(`blocked: ${stream}: ${reason} (${message})`)
  if (json) printJson(summary)
  else printSummary(summary)
  return report.settled && summary.dead === 0 ? 0 : 3
}

/** Codes of faults that a wrong address brings as often as a fault on the way. */
const noService = /^(answer_missing|not_rpc|tls|connection_lost|redirect|http_(301|302|307|308|401|403|404|405|501))$/

function printSummary(summary: {
  events: number
  ops: number
  batches: number
  posts: number
  pending: number
  dead: number
  shares: { session_id: string; url: string | null; removed: boolean }[]
}): void {
  const { events, ops, batches, posts, pending, dead, shares } = summary
  const in_all = `${batches} ${batches === 1 ? "batch" : "batches"} and ${posts} ${posts === 1 ? "POST" : "POSTs"}`
  print(`${events} events, ${ops} ops in ${in_all}; ${pending} pending, ${dead} dead`)
  for (const share of shares) print(`${share.session_id}  ${share.removed ? "removed" : (share.url ?? "not created")}`)
}

/** `--server` names an origin; the endpoint below it is part of the contract. */
function serviceNamed(server: string | undefined): string {
  if (server === undefined) throw new UsageError("--server URL is missing", replay)
  const problem = endpointProblem(server)
  if (problem) throw new UsageError(`--server ${problem}`, replay)
  return endpointOf(server)
}

function defaultOutbox(service: string, recording: string): string {
  const data = process.env.XDG_DATA_HOME || join(homedir(), ".local", "share")
  const name = new Bun.CryptoHasher("sha256")
    .update(`${service}\n${resolve(recording)}`)
    .digest("hex")
    .slice(0, 16)
  return join(data, "sturdy", `replay-${name}.db`)
}
