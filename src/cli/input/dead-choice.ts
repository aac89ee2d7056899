/** Which dead letters a command is about: those that were named, or all of a kind. */
import type { Database } from "bun:sqlite"
import { readDeadLetters } from "../../inspect/dead-letters.ts"
import { readOp } from "../../inspect/op.ts"
import { type Command, type Input, textOption, UsageError } from "./command.ts"
import { checkStreams } from "./known-stream.ts"
import { findId } from "./op-id.ts"

export const choiceUsage = "ID… | --all [--stream NAME] [--code CODE]"
export const choiceHelp = `  --all          all that nobody has decided about,
  --stream NAME  … of this stream (* stands for any text),
  --code CODE    … rejected with this code`
export const choiceOptions = {
  all: { type: "boolean" },
  stream: { type: "string" },
  code: { type: "string" },
} as const

export interface ChosenLetter {
  stream: string
  op_id: string
}

/** In the order of the stream, so that each comes after what it depends on. @throws UsageError, SturdyError `op_unknown` */
export function chosenLetters(db: Database, command: Command, input: Input): ChosenLetter[] {
  const all = input.options.all === true
  const stream = textOption(input, "stream")
  const code = textOption(input, "code")
  if (all === input.positionals.length > 0)
    throw new UsageError(all ? "either IDs or --all" : "which dead letter? Name its ID, or say --all", command)
  if (!all) {
    if (stream !== undefined || code !== undefined) throw new UsageError("--stream and --code go with --all", command)
    return input.positionals.map((typed) => named(db, typed))
  }
  checkStreams(db, stream)
  const chosen: ChosenLetter[] = []
  for (let after: number | undefined; ;) {
    const { letters, next } = readDeadLetters(db, { stream, code, after, limit: 1_000 })
    chosen.push(...letters.map((letter) => ({ stream: letter.stream, op_id: letter.op_id })))
    if (next === null) return chosen
    after = next
  }
}

function named(db: Database, typed: string): ChosenLetter {
  const { id, seq } = findId(db, typed, ["op"])
  return { stream: readOp(db, id, seq).stream, op_id: id }
}
