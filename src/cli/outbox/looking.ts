/** Looking into the outbox that a command is about, and what went wrong in the words of a person who can do something. */
import type { Database } from "bun:sqlite"
import { SturdyError } from "../../intent/error.ts"
import { mayBeOutbox } from "../../store/damaged-reading.ts"
import { isDamageCode } from "../../store/fault.ts"
import { bytesOf } from "../../store/place.ts"
import { readingOutbox } from "../../store/reading.ts"
import type { Input } from "../input/command.ts"
import { note } from "../output/terminal.ts"
import { commandLine } from "./command-line.ts"
import { notePlace, outboxPlace, type OutboxPlace, placeText } from "./outbox-place.ts"
import { neverShowThoseOf } from "./secrets.ts"

/** Reads, whoever else has it open: nothing is changed, nobody is waited for. Says which outbox it is, as `notePlace`. */
export function readOutbox<T>(input: Input, read: (db: Database, place: OutboxPlace) => T): T {
  const found = lookAtOutbox(input, read)
  notePlace(input, outboxPlace(input))
  return found
}

/** The same without a word: for a look before something is done. */
export function lookAtOutbox<T>(input: Input, read: (db: Database, place: OutboxPlace) => T): T {
  const place = outboxPlace(input)
  try {
    let copied: string | undefined
    const found = readingOutbox(place.file, (db, reader) => {
      copied = reader.note
      neverShowThoseOf(db)
      return read(db, place)
    })
    if (copied !== undefined) note(copied)
    return found
  } catch (error) {
    throw explained(error, place)
  }
}

/** What went wrong with this outbox, with what a person can do about it. */
export function explained(error: unknown, place: OutboxPlace): unknown {
  if (!(error instanceof SturdyError)) return error
  const { code, message, path, indeterminate } = error
  const again = (message: string, hint: string) =>
    new SturdyError(code, message, hint, { cause: error, indeterminate, ...(path !== undefined && { path }) })
  if (code === "dead_letter_unknown")
    return again(message, `\`${commandLine(place, "dead", "list")}\` lists those that are.`)
  if (code === "database_missing") return again(`there is no outbox at ${placeText(place)}`, lookedAt(place))
  if (code === "database_not_sqlite" && !mayBeOutbox(place.file))
    return again(message, "Nothing in it is of an outbox: name another file with --db FILE.")
  if (isDamageCode(code))
    return bytesOf(place.file) === 0 && bytesOf(`${place.file}-wal`) === 0
      ? error
      : again(message, `${commandLine(place, "doctor")} says what can still be read, and how to put it aside.`)
  return error
}

function lookedAt({ by: who }: OutboxPlace): string {
  if (who === "--db") return "Check the path."
  if (who === "STURDY_DB") return "Check STURDY_DB, or name another with --db FILE."
  return "Neither --db nor STURDY_DB names one, and opencode's plugin has made none there (its option `database` may say where): name it with --db FILE."
}
