/** What is written where: results on standard output, progress and errors on standard error; width and colours. */
import { styleText } from "node:util"

/** One JSON object per line on standard output. */
export function printJson(value: object): void {
  print(JSON.stringify(value))
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** For people: progress and errors, so that standard output stays what was asked for. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Names come from hosts and servers, and must not move the cursor, colour the terminal or turn the line around. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
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
