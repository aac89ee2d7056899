/** `sturdy export`: ops as JSON lines, to file with a bug report. */
import { quietWalFault, salvage } from "../inspect/salvage.ts"
import { OpExport } from "../inspect/export.ts"
import { readOutboxSummary } from "../inspect/export-header.ts"
import { outboxFileSummary } from "../inspect/outbox-file.ts"
import { opStates } from "../inspect/op-state.ts"
import { Redactor } from "../inspect/redact.ts"
import { redactedOp, redactedSummary } from "../inspect/redacted.ts"
import { systemRandom } from "../intent/system.ts"
import { openDamaged, type DamagedView } from "../store/damaged-reading.ts"
import { unlessDamaged } from "../store/fault.ts"
import { type Command, type ExitCode, type Input, textOption, UsageError, wordOption } from "./input/command.ts"
import { damageLines } from "./text/damage-text.ts"
import { checkStreams } from "./input/known-stream.ts"
import {
  dbHelp,
  dbOption,
  dbUsage,
  explained,
  outboxPlace,
  type OutboxPlace,
  placeText,
} from "./outbox/outbox-place.ts"
import { Secrets, secretsIn } from "./outbox/secrets.ts"
import { ProgressLine } from "./output/progress.ts"
import { note, printable } from "./output/terminal.ts"
import { openSink, type Sink } from "./output/sink.ts"
import { count } from "./output/words.ts"

/** Written at once. */
const chunk_letters = 256 * 1024

export const exportOps: Command = {
  name: "export",
  summary: "ops as JSON lines, to file with a bug report; --redact leaves out what people wrote",
  usage: `[--redact] [--output FILE] [--all] [--stream NAME] [--state STATE] ${dbUsage}`,
  help: `
Writes JSON lines: one that describes the outbox, then one per op, by default those that wait and the dead letters about
which nobody has decided, with their arguments in full. The outbox's own secrets are left out always. A host that goes on
is not disturbed, so it is not one instant. Of a damaged outbox all that can be read is written, and it ends with 3.

${dbHelp}
  --redact       every text and number in arguments, results and keys, the names of streams, actors and sessions, and
                 messages stand as text#… with their length, equal ones alike; structure, ids, places, times, methods,
                 codes and the services' addresses stay
  --output FILE  into a new file (0600), whole or not at all, instead of standard output
  --stream NAME  of this stream only; * stands for any text
  --state STATE  ${opStates.join(", ")}
  --all          everything that is kept`,
  options: {
    ...dbOption,
    redact: { type: "boolean" },
    output: { type: "string", short: "o" },
    stream: { type: "string" },
    state: { type: "string" },
    all: { type: "boolean" },
  },
  positionals: 0,
  async run(input) {
    const filter = {
      stream: textOption(input, "stream"),
      state: wordOption(exportOps, input, "state", opStates),
      all: input.options.all === true,
    }
    if (filter.all && filter.state !== undefined)
      throw new UsageError("--all and --state say different things: name one of them", exportOps)
    const place = outboxPlace(input)
    let reader: DamagedView | undefined
    let sink: Sink | undefined
    try {
      reader = openDamaged(place.file)
      const found = new OpExport(reader, filter)
      sink = openSink(textOption(input, "output"), reader)
      return await write(input, place, reader, found, sink)
    } catch (error) {
      throw explained(error, place)
    } finally {
      sink?.abandon()
      reader?.close()
    }
  },
}

async function write(
  input: Input,
  place: OutboxPlace,
  reader: DamagedView,
  found: OpExport,
  sink: Sink,
): Promise<ExitCode> {
  const redactor = input.options.redact ? new Redactor(systemRandom) : undefined
  const progress = new ProgressLine()
  const now = Date.now()
  const { version } = (await import("../../package.json", { with: { type: "json" } })).default
  const { summary, secrets, sqlite } = reader.read((db) => {
    const summary = readOutboxSummary(db, now)
    if (summary.streams) checkStreams(db, found.filter.stream)
    const { sqlite } = db.prepare("select sqlite_version() as sqlite").get() as { sqlite: string }
    return { summary, secrets: unlessDamaged(() => secretsIn(db)), sqlite }
  })
  const hidden = new Secrets(secrets ?? [])
  const line = (value: object) => `${hidden.hide(JSON.stringify(value))}\n`
  const { bytes, wal_bytes } = outboxFileSummary(place.file)
  const header = {
    version: 1,
    kind: "outbox",
    time: now,
    sturdy: version,
    bun: Bun.version,
    sqlite,
    platform: `${process.platform} ${process.arch}`,
    redacted: redactor !== undefined,
    filter: {
      ...found.filter,
      stream: redactor ? redactor.textOrNull(found.filter.stream ?? null) : found.filter.stream,
    },
    /** The host may have gone on between two parts. */
    one_instant: false,
    read_from: reader.note ?? "the file",
    bytes,
    wal_bytes,
    ...(redactor ? redactedSummary(summary, redactor) : summary),
  }
  let text = line(header)
  let ops = 0
  const streams = summary.streams ?? []
  const total = streams.reduce(
    (sum, { pending, dead, retained_ops }) => sum + pending + dead + (found.filter.all ? retained_ops : 0),
    0,
  )
  for (const part of found.parts()) {
    for (const op of part) text += line({ version: 1, kind: "op", ...(redactor ? redactedOp(op, redactor) : op) })
    ops += part.length
    if (text.length < chunk_letters) continue
    await sink.write(text)
    text = ""
    if (sink.path !== undefined) progress.show("exporting ops", ops, Math.max(ops, total))
  }
  await sink.write(text)
  sink.keep()
  progress.end()
  if (place.by !== "--db") note(`outbox: ${placeText(place)}`)
  if (reader.note !== undefined) note(reader.note)
  const where = sink.path === undefined ? "" : ` in ${printable(sink.path)}`
  note(
    redactor
      ? `${count(ops, "op")}${where}, redacted: read it before you give it away`
      : `${count(ops, "op")}${where}, with payloads: --redact leaves out what people wrote`,
  )
  if (!redactor && secrets === undefined)
    note("the secrets of some streams cannot be read, so they are not known in payloads: give away a redacted one only")
  const isDamaged = reader.isRebuilt || found.losses.length > 0 || found.damaged_ops > 0 || summary.streams === null
  reader.close()
  if (!isDamaged && quietWalFault(place.file) === null) return 0
  for (const line of damageLines(salvage(place.file), place)) note(line)
  return 3
}
