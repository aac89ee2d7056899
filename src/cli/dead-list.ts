/** `sturdy dead list`: what the service rejected for good, and how it hangs together. */
import { type DeadLetterSummary, readDeadLetters } from "../inspect/dead-letters.ts"
import { type Command, textOption } from "./input/command.ts"
import { checkStreams } from "./input/known-stream.ts"
import { graphLines } from "./text/op-graph.ts"
import { commandLine } from "./outbox/command-line.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { noteNext, pageHelp, pageOf, pageOptions, pageUsage } from "./input/page.ts"
import { type Column, tableLines } from "./output/table.ts"
import { note, print, printable, printJson, terminalWidth, toned } from "./output/terminal.ts"
import { agoText } from "./output/words.ts"

export const deadList: Command = {
  name: "dead list",
  summary: "dead letters: what the service rejected for good",
  usage: `${dbUsage} [--stream NAME] [--code CODE] [--all] ${pageUsage} [--json]`,
  help: `
Lists the ops that the service rejected for good and about which nobody has decided yet, oldest first, and draws which one
was rejected because another one was. Record them again with \`sturdy dead retry ID\`, or give them up with \`sturdy dead
discard ID\`; either takes along what hangs on it. Only reads. Exit code 3 if there is one to decide about.

${dbHelp}
  --stream NAME  of this stream only; * stands for any text
  --code CODE    rejected with this code only
  --all          decided ones too, as long as they are kept
${pageHelp}
  --json         one dead letter per line`,
  options: {
    ...dbOption,
    stream: { type: "string" },
    code: { type: "string" },
    all: { type: "boolean" },
    ...pageOptions,
  },
  positionals: 0,
  async run(input) {
    const stream = textOption(input, "stream")
    const filter = {
      stream,
      code: textOption(input, "code"),
      decided: input.options.all === true,
      ...pageOf(deadList, input),
    }
    const { letters, next, place } = readOutbox(input, (db, place) => {
      checkStreams(db, stream)
      return { place, ...readDeadLetters(db, filter) }
    })
    const open = letters.find(({ decision }) => decision === null)
    if (input.options.json) for (const letter of letters) printJson({ version: 1, ...letter })
    else {
      for (const line of deadTable(letters)) print(line)
      if (letters.length === 0) note("no dead letters")
      if (open) {
        note(`record one again, with what hangs on it:  ${commandLine(place, "dead", "retry", open.op_id)}`)
        note(`give one up, with what hangs on it:       ${commandLine(place, "dead", "discard", open.op_id)}`)
      }
    }
    noteNext(next)
    return open ? 3 : 0
  },
}

interface Drawn {
  letter: DeadLetterSummary
  graph: string
}

function deadTable(letters: readonly DeadLetterSummary[]): string[] {
  if (letters.length === 0) return []
  const graph = graphLines(letters)
  const rows = letters.map((letter, index) => ({ letter, graph: graph[index]! }))
  return tableLines(rows, columnsAt(Date.now()), terminalWidth())
}

const columnsAt = (now: number): Column<Drawn>[] => [
  { title: "", text: ({ graph }) => graph },
  { title: "OP", text: ({ letter }) => letter.op_id },
  { title: "STREAM", text: ({ letter }) => printable(letter.stream), shrink: 14, middle: true, drop: 3 },
  { title: "PLACE", text: ({ letter }) => `#${letter.seq}`, align: "right", drop: 4 },
  { title: "METHOD", text: ({ letter }) => printable(letter.method), shrink: 8, drop: 1 },
  { title: "REJECTED", text: ({ letter }) => agoText(letter.time_rejected, now), drop: 5 },
  { title: "WHY", text: ({ letter }) => whyText(letter), shrink: 12, tone: whyTone },
]

function whyText({ code, message, decision, retried_op_id }: DeadLetterSummary): string {
  if (decision === "retried") return `recorded again as ${retried_op_id}`
  if (decision === "discarded") return `given up (${printable(code)})`
  return printable(message === "" ? code : `${code}: ${message}`)
}

function whyTone({ letter }: Drawn, cell: string): string {
  return letter.decision === null ? toned("bad", cell) : toned("quiet", cell)
}
