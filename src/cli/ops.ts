/** `sturdy ops`: what is in the outbox, op by op. */
import { opStates } from "../inspect/op-state.ts"
import { type OpSummary, readOps } from "../inspect/ops.ts"
import { type Command, textOption, wordOption } from "./input/command.ts"
import { checkStreams } from "./input/known-stream.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { noteNext, pageHelp, pageOf, pageOptions, pageUsage } from "./input/page.ts"
import { sinceHelp, sinceOption } from "./input/since.ts"
import { type Column, tableLines } from "./output/table.ts"
import { note, print, printable, printJson, terminalWidth } from "./output/terminal.ts"
import { ageText, bytesText } from "./output/words.ts"
import { opTone } from "./text/op-words.ts"

export const ops: Command = {
  name: "ops",
  summary: "ops: place, state, method, key, size, age",
  usage: `${dbUsage} [--stream NAME] [--state STATE] [--method M] [--key K] [--since T] ${pageUsage} [--json]`,
  help: `
Lists the ops that the outbox holds, oldest first: pending ones, and settled ones that are still kept. Payloads are not
shown: \`sturdy show ID\` does. ┆ before a place: of the unit of the op before it. Only reads.

${dbHelp}
  --stream NAME  of this stream only; * stands for any text, here and in the next two
  --method M     of this method
  --key K        of this key, e.g. 'part/*'
  --state STATE  ${opStates.join(", ")}
  --since T      recorded since then: ${sinceHelp}
${pageHelp}
  --json         one op per line`,
  options: {
    ...dbOption,
    stream: { type: "string" },
    method: { type: "string" },
    key: { type: "string" },
    state: { type: "string" },
    since: { type: "string" },
    ...pageOptions,
  },
  positionals: 0,
  async run(input) {
    const now = Date.now()
    const filter = {
      stream: textOption(input, "stream"),
      method: textOption(input, "method"),
      key: textOption(input, "key"),
      state: wordOption(ops, input, "state", opStates),
      since: sinceOption(ops, input, now),
      ...pageOf(ops, input),
    }
    const page = readOutbox(input, (db) => {
      checkStreams(db, filter.stream)
      return readOps(db, filter)
    })
    if (input.options.json) for (const op of page.ops) printJson({ version: 1, ...op })
    else if (page.ops.length > 0) for (const line of tableLines(page.ops, columnsAt(now), terminalWidth())) print(line)
    else note("no such ops")
    noteNext(page.next)
    return 0
  },
}

const columnsAt = (now: number): Column<OpSummary>[] => [
  { title: "OP", text: (op) => op.op_id },
  { title: "STREAM", text: (op) => printable(op.stream), shrink: 14, middle: true, drop: 4 },
  // A unit is written as one: the ops after its first hang on it.
  { title: "PLACE", text: (op) => `${op.continues ? "┆" : ""}#${op.seq}`, align: "right", drop: 3 },
  { title: "STATE", text: (op) => op.state, tone: (op, cell) => opTone(op.state, cell) },
  { title: "METHOD", text: (op) => printable(op.method), shrink: 8, drop: 1 },
  { title: "KEY", text: (op) => printable(op.key ?? "-"), shrink: 6, middle: true, drop: 2 },
  { title: "SIZE", text: (op) => bytesText(op.bytes), align: "right", drop: 5 },
  { title: "AGE", text: (op) => ageText(op.time_created, now), align: "right", drop: 6 },
]
