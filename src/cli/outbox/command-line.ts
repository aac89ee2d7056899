/** Command lines that a person is told to paste. */
import { resolve } from "node:path"
import { program } from "../input/called-as.ts"
import { isPrintable } from "../output/terminal.ts"
import type { OutboxPlace } from "./outbox-place.ts"

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
