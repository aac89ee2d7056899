/** `sturdy batches`: what was sent together, or is about to be. */
import { batchStates, type BatchSummary, readBatches } from "../inspect/batches.ts"
import { matches } from "../inspect/name-pattern.ts"
import { readStreams } from "../inspect/status.ts"
import { type Command, textOption, wordOption } from "./input/command.ts"
import { checkStreams } from "./input/known-stream.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { noteNext, pageHelp, pageOf, pageOptions, pageUsage } from "./input/page.ts"
import { type Column, tableLines } from "./output/table.ts"
import { note, print, printable, printJson, terminalWidth, toned } from "./output/terminal.ts"
import { agoText, bytesText, count } from "./output/words.ts"
import { placesText } from "./text/op-words.ts"

export const batches: Command = {
  name: "batches",
  summary: "batches: what was sent together, and what became of it",
  usage: `${dbUsage} [--stream NAME] [--state STATE] ${pageUsage} [--json]`,
  help: `
Lists the batches that were frozen, in the order of each stream, and how many ops wait to be sealed into one. \`sturdy show
BATCH\` draws how the ops of one depend on each other. Only reads.

${dbHelp}
  --stream NAME  of this stream only; * stands for any text
  --state STATE  ${batchStates.join(", ")}
${pageHelp}
  --json         one batch per line`,
  options: { ...dbOption, stream: { type: "string" }, state: { type: "string" }, ...pageOptions },
  positionals: 0,
  async run(input) {
    const stream = textOption(input, "stream")
    const state = wordOption(batches, input, "state", batchStates)
    const { page, open } = readOutbox(input, (db) => {
      checkStreams(db, stream)
      const ofStream = readStreams(db).filter((known) => matches(stream, known.stream))
      const open = ofStream.reduce((sum, { pending, in_flight }) => sum + pending - in_flight, 0)
      return { page: readBatches(db, { stream, state, ...pageOf(batches, input) }), open }
    })
    if (input.options.json) for (const batch of page.batches) printJson({ version: 1, ...batch })
    else if (page.batches.length > 0)
      for (const line of tableLines(page.batches, columnsAt(Date.now()), terminalWidth())) print(line)
    else note("no such batches")
    noteNext(page.next)
    if (open > 0 && !input.options.json) note(`${count(open, "op")} not sealed into a batch yet`)
    return 0
  },
}

const columnsAt = (now: number): Column<BatchSummary>[] => [
  { title: "BATCH", text: (batch) => batch.batch_id },
  { title: "STREAM", text: (batch) => printable(batch.stream), shrink: 14, middle: true, drop: 1 },
  { title: "STATE", text: (batch) => batch.state, tone: (batch, cell) => batchTone(batch, cell) },
  { title: "PLACES", text: placesText, align: "right" },
  { title: "OPS", text: (batch) => batch.ops.toLocaleString("en"), align: "right" },
  { title: "SIZE", text: (batch) => bytesText(batch.bytes), align: "right", drop: 3 },
  {
    title: "REJECTED",
    text: (batch) => (batch.rejected > 0 ? String(batch.rejected) : "-"),
    align: "right",
    tone: (batch, cell) => (batch.rejected > 0 ? toned("bad", cell) : cell),
    drop: 2,
  },
  { title: "FROZEN", text: (batch) => agoText(batch.time_frozen, now), drop: 4 },
  {
    title: "SETTLED",
    text: (batch) => (batch.time_settled === null ? "-" : agoText(batch.time_settled, now)),
    drop: 5,
  },
]

function batchTone({ state }: BatchSummary, cell: string): string {
  return state === "in_flight" ? toned("warning", cell) : toned("quiet", cell)
}
