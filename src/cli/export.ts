/** `sturdy export`: ops as JSON lines, to file with a bug report. */
import { quietWalFault, salvage } from "../inspect/damage/salvage.ts"
import { matches } from "../inspect/name-pattern.ts"
import { readStreams, type StreamSummary } from "../inspect/status.ts"
import { OpExport } from "../inspect/export/op-export.ts"
import { type OutboxSummary, readOutboxSummary } from "../inspect/export/outbox-summary.ts"
import { outboxFileSummary } from "../inspect/outbox-file.ts"
import { opStates } from "../inspect/op-state.ts"
import { Redactor } from "../inspect/export/redactor.ts"
import { redactedOp, redactedSummary } from "../inspect/export/redacted.ts"
import { systemRandom } from "../intent/system.ts"
import { openDamaged, type DamagedView } from "../store/damaged-reading.ts"
import { unlessDamaged } from "../store/fault.ts"
import packageJson from "../../package.json" with { type: "json" }
import { type Command, type ExitCode, textOption, UsageError, wordOption } from "./input/command.ts"
import { damageLines } from "./text/damage-text.ts"
import { checkStreams } from "./input/known-stream.ts"
import { commandLine } from "./outbox/command-line.ts"
import { explained } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, outboxPlace, type OutboxPlace, placeText } from "./outbox/outbox-place.ts"
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
      const redactor = input.options.redact ? new Redactor(systemRandom) : undefined
      return await write({ place, reader, found, sink, redactor })
    } catch (error) {
      throw explained(error, place)
    } finally {
      sink?.abandon()
      reader?.close()
    }
  },
}

interface Exporting {
  place: OutboxPlace
  reader: DamagedView
  found: OpExport
  sink: Sink
  redactor: Redactor | undefined
}

async function write(exporting: Exporting): Promise<ExitCode> {
  const { place, reader, found, sink, redactor } = exporting
  const now = Date.now()
  const { summary, secrets, sqlite } = reader.read((db) => {
    const summary = readOutboxSummary(db, now)
    if (summary.streams) checkStreams(db, found.filter.stream)
    const { sqlite } = db.prepare("select sqlite_version() as sqlite").get() as { sqlite: string }
    return { summary, secrets: unlessDamaged(() => secretsIn(db)), sqlite }
  })
  const hidden = new Secrets(secrets ?? [])
  const line = (value: object) => `${hidden.hide(JSON.stringify(value))}\n`
  const ops = await writeLines(
    exporting,
    summary,
    line({ ...headerOf(exporting, now), sqlite, ...shown(summary, redactor) }),
    line,
  )
  sink.keep()
  if (place.by !== "--db") note(`outbox: ${placeText(place)}`)
  if (reader.note !== undefined) note(reader.note)
  const what = redactor
    ? "redacted: read it before you give it away"
    : "with payloads: --redact leaves out what people wrote"
  note(`${count(ops, "op")}${sink.path === undefined ? "" : ` in ${printable(sink.path)}`}, ${what}`)
  if (!redactor && secrets === undefined)
    note("the secrets of some streams cannot be read, so they are not known in payloads: give away a redacted one only")
  const missing = missingOps(found, summary, ops, reader)
  if (missing !== undefined)
    note(
      `${count(missing.ops, "op")} of ${missing.expected.toLocaleString("en")} that should be there: ${commandLine(place, "doctor")} says what is wrong`,
    )
  const isDamaged = reader.isRebuilt || found.losses.length > 0 || found.damaged_ops > 0 || summary.streams === null
  reader.close()
  if (!isDamaged && quietWalFault(place.file) === null) return missing === undefined ? 0 : 3
  for (const line of damageLines(salvage(place.file), place)) note(line)
  return 3
}

/**
 * Rows may be gone without a trace where a page was overwritten by another: what the streams count is not there then.
 * Undefined if all is, or a host went on meanwhile, or only some were asked for.
 */
function missingOps(
  { filter }: OpExport,
  { streams }: OutboxSummary,
  ops: number,
  reader: DamagedView,
): { ops: number; expected: number } | undefined {
  if (filter.all || filter.state !== undefined || streams === null) return
  const asked = (all: readonly StreamSummary[]) => all.filter(({ stream }) => matches(filter.stream, stream))
  const places = (all: readonly StreamSummary[]) =>
    JSON.stringify(asked(all).map(({ recorded, cursor, pending, dead }) => [recorded, cursor, pending, dead]))
  const now = unlessDamaged(() => reader.read((db) => places(readStreams(db))))
  const expected = asked(streams).reduce((sum, { pending, dead }) => sum + pending + dead, 0)
  return ops >= expected || now !== places(streams) ? undefined : { ops, expected }
}

const shown = (summary: OutboxSummary, redactor: Redactor | undefined) =>
  redactor ? redactedSummary(summary, redactor) : summary

function headerOf({ place, reader, found, redactor }: Exporting, now: number): object {
  const { filter } = found
  const { bytes, wal_bytes } = outboxFileSummary(place.file)
  return {
    version: 1,
    kind: "outbox",
    time: now,
    sturdy: packageJson.version,
    bun: Bun.version,
    platform: `${process.platform} ${process.arch}`,
    redacted: redactor !== undefined,
    filter: redactor ? { ...filter, stream: redactor.textOrNull(filter.stream ?? null) } : filter,
    /** The host may have gone on between two parts. */
    one_instant: false,
    read_from: reader.note ?? "the file",
    bytes,
    wal_bytes,
  }
}

/** A line for the outbox, then one per op. @returns how many ops there were */
async function writeLines(
  { found, sink, redactor }: Exporting,
  summary: OutboxSummary,
  header: string,
  line: (value: object) => string,
): Promise<number> {
  const progress = new ProgressLine()
  const total = (summary.streams ?? []).reduce(
    (sum, { pending, dead, retained_ops }) => sum + pending + dead + (found.filter.all ? retained_ops : 0),
    0,
  )
  let text = header
  let ops = 0
  for (const part of found.parts()) {
    for (const op of part) text += line({ version: 1, kind: "op", ...(redactor ? redactedOp(op, redactor) : op) })
    ops += part.length
    if (text.length < chunk_letters) continue
    await sink.write(text)
    text = ""
    if (sink.path !== undefined) progress.show("exporting ops", ops, Math.max(ops, total))
  }
  await sink.write(text)
  progress.end()
  return ops
}
