/** `sturdy dead retry`: rejected ops recorded again, as new ones. */
import { SturdyError } from "../intent/error.ts"
import type { Retried } from "../store/dead-letter.ts"
import { actingOutbox } from "./outbox/acting.ts"
import { type Command } from "./input/command.ts"
import { choiceHelp, choiceOptions, choiceUsage, chosenLetters } from "./input/dead-choice.ts"
import { commandLine } from "./outbox/command-line.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { note, print, printJson, toned } from "./output/terminal.ts"
import { count } from "./output/words.ts"

export const deadRetry: Command = {
  name: "dead retry",
  summary: "record dead letters again, with what hangs on them",
  usage: `${choiceUsage} ${dbUsage} [--json]`,
  help: `
Records dead letters again as new ops, each with those that were rejected because of it: committed when the command ends.
Do it when the service takes them by now. They are sent by the program that has the outbox open, or by \`sturdy flush\`. One
that depends on another dead letter goes with that one's retry. Prints what was recorded for what.

${choiceHelp}
${dbHelp}
  --json         {"version","stream","op_id","retried_op_id"} per op`,
  options: { ...dbOption, ...choiceOptions },
  positionals: [0, Infinity],
  async run(input) {
    const chosen = lookAtOutbox(input, (db) => chosenLetters(db, deadRetry, input))
    if (chosen.length === 0) {
      note("no dead letters")
      return 0
    }
    return actingOutbox(input, (outbox, place) => {
      const gone = new Set<string>()
      const left: SturdyError[] = []
      for (const { stream, op_id } of chosen) {
        if (gone.has(op_id)) continue
        const retried = retriedOrLeft(() => outbox.stream(stream).retry(op_id), left, input.options.all === true)
        for (const { op_id, as_op_id } of retried) {
          gone.add(op_id)
          if (input.options.json) printJson({ version: 1, stream, op_id, retried_op_id: as_op_id })
          else print(`${op_id}  recorded again as ${toned("strong", as_op_id)}`)
        }
      }
      for (const { message, hint } of left) note(`left: ${message}. ${hint}`)
      if (gone.size > 0 && !input.options.json)
        note(
          `${count(gone.size, "op")} recorded again; sent by whoever has the outbox open, or by \`${commandLine(place, "flush")}\``,
        )
      return left.length > 0 ? 3 : 0
    })
  },
}

/** What keeps one dead letter from being recorded again, and no other: also that its share was removed. */
const leavesOne: ReadonlySet<string> = new Set(["dead_letter_dependent", "dead_letter_decided", "stream_closed"])

/** Of all of a kind, some may wait for another's retry: told at the end, while the others go on. */
function retriedOrLeft(retry: () => Retried[], left: SturdyError[], goOn: boolean): Retried[] {
  try {
    return retry()
  } catch (error) {
    if (!goOn || !(error instanceof SturdyError) || !leavesOne.has(error.code)) throw error
    left.push(error)
    return []
  }
}
