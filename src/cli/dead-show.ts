/** `sturdy dead show`: one dead letter, and what would go with it. */
import { hangingOn } from "../inspect/dead-letters.ts"
import { readOp } from "../inspect/op.ts"
import { SturdyError } from "../intent/error.ts"
import type { Command } from "./input/command.ts"
import { findId } from "./input/op-id.ts"
import { opLines } from "./text/op-text.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { opJson } from "./output/payload.ts"
import { print, printJson } from "./output/terminal.ts"
import { count } from "./output/words.ts"

export const deadShow: Command = {
  name: "dead show",
  summary: "one dead letter: why it was rejected, its call, and what hangs on it",
  usage: `ID [--payload] ${dbUsage} [--json]`,
  help: `
Shows a dead letter as \`sturdy show\` does, and which others a retry or a discard of it would take along. ID is an op_id,
or the beginning of one. Only reads.

${dbHelp}
  --payload  the arguments in full, instead of their beginning; secrets of the outbox are left out
  --json     one object; with the payload only if asked for`,
  options: { ...dbOption, payload: { type: "boolean" } },
  positionals: 1,
  async run(input) {
    const full = input.options.payload === true
    const { op, hanging, place } = readOutbox(input, (db, place) => {
      const id = findId(db, input.positionals[0]!, ["op"])
      const op = readOp(db, id.id, id.seq)
      if (!op.rejection)
        throw new SturdyError(
          "dead_letter_unknown",
          `op ${op.op_id} of stream ${op.stream} is ${op.state}, no dead letter`,
          `\`sturdy show ${op.op_id}\` shows it.`,
        )
      return { op, place, hanging: hangingOn(db, id.id, id.seq) ?? null }
    })
    if (input.options.json) printJson({ version: 1, kind: "op", ...opJson(op, full), hanging })
    else {
      for (const line of opLines(op, { now: Date.now(), full, place })) print(line)
      if (hanging)
        print(
          `\na retry records ${count(hanging.retried.length, "op")}, a discard gives ${count(hanging.discarded.length, "op")} up`,
        )
    }
    return 0
  },
}
