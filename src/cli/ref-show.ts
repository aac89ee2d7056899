/** `sturdy ref show`: which share each stream writes to. The secret only to a person at a terminal who asks for it. */
import type { Database } from "bun:sqlite"
import type { StreamRow } from "../store/stream.ts"
import { type Command, UsageError } from "./input/command.ts"
import { checkStream } from "./input/known-stream.ts"
import { commandLine } from "./outbox/command-line.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, outboxPlace } from "./outbox/outbox-place.ts"
import { type Column, tableLines } from "./output/table.ts"
import { note, escaped, print, printable, printJson, printSecret, terminalWidth } from "./output/terminal.ts"

export const refShow: Command = {
  name: "ref show",
  summary: "which share each stream writes to",
  usage: `[STREAM] [--secret] ${dbUsage} [--json]`,
  help: `
Shows the sturdy ref of each stream: its service, its share, its URL for people, the epoch of the last grant, and who
created the share. Only reads.

  --secret   the ref of one stream whole, with the secret that opens the share: at a terminal only
${dbHelp}
  --json     one ref per line, never the secret`,
  options: { ...dbOption, secret: { type: "boolean" } },
  positionals: [0, 1],
  async run(input) {
    const { json, secret } = input.options
    const [name] = input.positionals
    if (secret) checkMayTell(input.positionals, json === true)
    const rows = readOutbox(input, (db) => {
      if (name !== undefined) checkStream(db, name)
      return readRefs(db).filter((row) => name === undefined || row.name === name)
    })
    if (secret) tellSecret(rows[0]!, commandLine(outboxPlace(input), "ref", "rotate", { name: rows[0]!.name }))
    else if (json) for (const row of rows) printJson({ version: 1, ...refOf(row) })
    else if (rows.length === 0) note("no streams yet")
    else {
      for (const line of tableLines(rows.map(refOf), columns, terminalWidth())) print(line)
    }
    return 0
  },
}

/** What is printed into a file or a pipe ends where nobody looks after it. */
function checkMayTell(names: readonly string[], json: boolean): void {
  if (names.length !== 1) throw new UsageError("--secret shows the ref of one stream: name it", refShow)
  if (json || !process.stdout.isTTY)
    throw new UsageError("--secret shows the secret at a terminal only, and never as JSON", refShow)
}

function tellSecret(row: StreamRow, rotate: string): void {
  const { service, share_id, secret, next_secret, remote_id, remote_secret } = row
  print(`service   ${printable(service)}`)
  print(`share_id  ${printable(share_id)}`)
  printSecret(`secret    ${secret}`)
  if (remote_id) print(`there     ${printable(remote_id)}`)
  if (remote_secret) printSecret(`secret    ${escaped(remote_secret)}`)
  // A file of an older Sturdy has no such column.
  if (next_secret) note(`A rotation has not ended, and this may not open the share any more: ${rotate}`)
  note("Whoever has this opens the share: hand it out as you would the share itself.")
}

function readRefs(db: Database): StreamRow[] {
  return db.prepare("select * from sturdy_stream order by stream_id").all() as StreamRow[]
}

interface Ref {
  stream: string
  service: string
  share_id: string
  /** Of the share where its service makes ids. */
  remote_id: string | null
  url: string | null
  protocol: string | null
  epoch: number | null
  /** `here`: this outbox creates the share. `elsewhere`: its ref came from somebody else. */
  created: "here" | "elsewhere"
  removed: boolean
}

function refOf(row: StreamRow): Ref {
  const { name, service, share_id, url, epoch, session_id, time_removal } = row
  return {
    stream: name,
    service,
    share_id,
    // Columns that a file which an older Sturdy made may not have.
    remote_id: row.remote_id ?? null,
    url,
    protocol: row.protocol ?? null,
    epoch,
    created: session_id === null ? "elsewhere" : "here",
    removed: time_removal !== null,
  }
}

const columns: Column<Ref>[] = [
  { title: "STREAM", text: (ref) => printable(ref.stream), shrink: 14, middle: true },
  { title: "SHARE", text: (ref) => printable(ref.remote_id ?? ref.share_id), shrink: 22, middle: true },
  { title: "SERVICE", text: (ref) => printable(ref.service), shrink: 24, middle: true },
  { title: "PROTOCOL", text: (ref) => printable(ref.protocol ?? "-"), drop: 3 },
  { title: "EPOCH", text: (ref) => (ref.epoch === null ? "-" : String(ref.epoch)), align: "right", drop: 2 },
  { title: "CREATED", text: (ref) => ref.created, drop: 4 },
  { title: "URL", text: (ref) => printable(ref.url ?? "-"), shrink: 30, middle: true, drop: 1 },
]
