/** `sturdy dead discard`: rejected ops given up. */
import { hangingOn } from "../inspect/dead-letters.ts"
import { idsThatBegin } from "../inspect/id-search.ts"
import { actingOutbox } from "./outbox/acting.ts"
import { type Command } from "./input/command.ts"
import { confirmed, yesHelp, yesOption } from "./input/confirm.ts"
import { choiceHelp, choiceOptions, choiceUsage, chosenLetters } from "./input/dead-choice.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { note, print, printJson } from "./output/terminal.ts"
import { count } from "./output/words.ts"

export const deadDiscard: Command = {
  name: "dead discard",
  summary: "give dead letters up, with what hangs on them",
  usage: `${choiceUsage} [--yes] ${dbUsage} [--json]`,
  help: `
Gives dead letters up for good, each with those that were rejected because of it: they could only be rejected again.
Nothing changes at the service, which never applied them. \`sturdy export\` keeps a copy of what is in them.

${choiceHelp}
${yesHelp}
${dbHelp}
  --json         {"version","stream","op_id"} per op`,
  options: { ...dbOption, ...choiceOptions, ...yesOption },
  positionals: [0, Infinity],
  async run(input) {
    const { chosen, going } = lookAtOutbox(input, (db) => {
      const chosen = chosenLetters(db, deadDiscard, input)
      const going = new Set<string>()
      for (const { op_id } of chosen) {
        if (going.has(op_id)) continue
        const { seq } = idsThatBegin(db, op_id, 1)[0]!
        // One that was decided before is told when it is tried.
        for (const id of hangingOn(db, op_id, seq)?.discarded ?? [op_id]) going.add(id)
      }
      return { chosen, going }
    })
    if (chosen.length === 0) {
      note("no dead letters")
      return 0
    }
    const more = going.size - chosen.length
    const what =
      more > 0
        ? `${count(chosen.length, "dead letter")} and ${more} that hang on ${chosen.length === 1 ? "it" : "them"}`
        : count(chosen.length, "dead letter")
    if (!(await confirmed(deadDiscard, input, `give up ${what} for good?`))) {
      note("nothing was given up")
      return 1
    }
    return actingOutbox(input, (outbox) => {
      const gone = new Set<string>()
      for (const { stream, op_id } of chosen) {
        if (gone.has(op_id)) continue
        for (const discarded of outbox.stream(stream).discard(op_id)) {
          gone.add(discarded)
          if (input.options.json) printJson({ version: 1, stream, op_id: discarded })
          else print(`${discarded}  given up`)
        }
      }
      return 0
    })
  },
}
