/** What is written where: results on standard output, progress and errors on standard error; width and colours. */
import { styleText } from "node:util"

let hide = (text: string) => text

/** From here on nothing is printed of what this takes out, but by `printSecret`. */
export function hideInOutput(by: (text: string) => string): void {
  hide = by
}

/** One JSON object per line on standard output. */
export function printJson(value: object): void {
  print(JSON.stringify(value))
}

export function print(text: string): void {
  process.stdout.write(`${hide(text)}\n`)
}

/** To a person at a terminal who asked for it. */
export function printSecret(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** For people: progress and errors, so that standard output stays what was asked for. */
export function note(text: string): void {
  process.stderr.write(`${hide(text)}\n`)
}

/** Moves the cursor, colours the terminal, breaks the line or turns it around. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
const allUnprintable = new RegExp(unprintable, "gu")

export function isPrintable(text: string): boolean {
  return !unprintable.test(text)
}

/** Names and messages come from hosts and servers. What is hidden goes first: of a secret no beginning is shown either. */
export function printable(text: string): string {
  return escaped(hide(text))
}

/** Safe on a terminal, and all of it. */
export function escaped(text: string): string {
  return text.replace(allUnprintable, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

/** Columns of the terminal that standard output is; undefined if it is none, and then nothing is shortened. */
export function terminalWidth(): number | undefined {
  if (!process.stdout.isTTY) return
  return Math.max(20, process.stdout.columns || 80)
}

export type Tone = "good" | "bad" | "warning" | "quiet" | "strong"

const formats = { good: "green", bad: "red", warning: "yellow", quiet: "dim", strong: "bold" } as const

/** https://no-color.org, https://force-color.org. */
function hasColors(): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR) return false
  if (FORCE_COLOR) return FORCE_COLOR !== "0"
  return process.stdout.isTTY === true && TERM !== "dumb"
}

/** For standard output. Colour never says what a word does not say too. */
export function toned(tone: Tone, text: string): string {
  return hasColors() ? styleText(formats[tone], text, { validateStream: false }) : text
}
