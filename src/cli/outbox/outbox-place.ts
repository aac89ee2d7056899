/** Which outbox a command is about, how it is read, and how a command line names it again. */
import type { Database } from "bun:sqlite"
import { homedir } from "node:os"
import { resolve } from "node:path"
import { SturdyError } from "../../intent/error.ts"
import { outboxFile } from "../../opencode/data-place.ts"
import { mayBeOutbox } from "../../store/damaged-reading.ts"
import { isDamageCode } from "../../store/fault.ts"
import { bytesOf } from "../../store/place.ts"
import { readingOutbox } from "../../store/reading.ts"
import { program } from "../input/called-as.ts"
import { type Input, textOption } from "../input/command.ts"
import { isPrintable, note, printable } from "../output/terminal.ts"
import { neverShowThoseOf } from "./secrets.ts"

export const dbUsage = "[--db FILE]"
export const dbHelp = "  --db FILE  the outbox (default: STURDY_DB, else that of opencode's plugin)"
export const dbOption = { db: { type: "string" } } as const

export interface OutboxPlace {
  file: string
  /** Who named it. */
  by: "--db" | "STURDY_DB" | "opencode"
}

export function outboxPlace(input: Input): OutboxPlace {
  const named = textOption(input, "db")
  if (named !== undefined) return { file: named, by: "--db" }
  if (process.env.STURDY_DB) return { file: process.env.STURDY_DB, by: "STURDY_DB" }
  return { file: outboxFile(process.env), by: "opencode" }
}

const by = { "--db": "--db", STURDY_DB: "STURDY_DB", opencode: "where opencode's plugin has it" } as const

/** For people: the file, and who named it. */
export function placeText({ file, by: who }: OutboxPlace): string {
  const path = resolve(file)
  const home = homedir()
  const shown = home !== "/" && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
  return `${printable(shown)} (${by[who]})`
}

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

/** On standard error, for a person who did not name it. */
export function notePlace(input: Input, place: OutboxPlace): void {
  if (place.by !== "--db" && !input.options.json) note(`outbox: ${placeText(place)}`)
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

/** A name from outside, which an option must not be made of: a host may call a stream `--all`. */
export interface NameWord {
  name: string
}

/** As a person can paste it, in any folder: with the outbox that this command was told. */
export function commandLine({ file, by: who }: OutboxPlace, ...words: (string | NameWord)[]): string {
  const db = who === "opencode" ? [] : ["--db", resolve(file)]
  const isTaken = (word: string | NameWord) => typeof word === "string" || !word.name.startsWith("-")
  const behind = words.filter((word) => !isTaken(word))
  const all = [...words.filter(isTaken), ...db, ...(behind.length > 0 ? ["--", ...behind] : [])]
  return [program, ...all.map((word) => quoted(typeof word === "string" ? word : word.name))].join(" ")
}

/** An option and its value, as it is taken for one whatever it begins with. */
export function optionWords(option: string, value: string): string[] {
  return value.startsWith("-") ? [`${option}=${value}`] : [option, value]
}

/** For every POSIX shell. */
export function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (isPrintable(word)) return `'${word.replaceAll("'", `'\\''`)}'`
  // Names what no terminal takes well. A newline at the end is what $(…) takes away: bash, ksh and zsh know $'…'.
  if (word.endsWith("\n")) return `$'${octal(word.replaceAll("\\", "\\\\").replaceAll("'", "\\'"))}'`
  return `"$(printf '${octal(word.replaceAll("\\", "\\\\").replaceAll("%", "%%").replaceAll("'", "\\047").replace(/^-/, "\\055"))}')"`
}

/** By its bytes, which are the same in every locale. No argument holds a NUL: what stands for it is none, in any name. */
function octal(word: string): string {
  const bytesOf = (letter: string) => [...Buffer.from(letter)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
  return [...word]
    .map((letter) => (isPrintable(letter) ? letter : letter === "\0" ? "\\\\u0000" : bytesOf(letter).join("")))
    .join("")
}
