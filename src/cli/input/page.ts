/** Lists come in pages: how long one is, and where the next begins. */
import { type Command, type Input, numberOption } from "./command.ts"
import { note } from "../output/terminal.ts"

export const pageUsage = "[--limit N] [--after CURSOR]"
export const pageHelp = `  --limit N      at most so many (default 100)
  --after CURSOR the next page: where the page before said that there is more`
export const pageOptions = { limit: { type: "string" }, after: { type: "string" } } as const

/** @throws UsageError */
export function pageOf(command: Command, input: Input): { limit: number; after: number | undefined } {
  const after = numberOption(command, input, "after", { min: 0, max: Number.MAX_SAFE_INTEGER })
  return { limit: numberOption(command, input, "limit", { min: 1, max: 100_000 }) ?? 100, after }
}

/** On standard error, so that a list that is piped on stays a list. */
export function noteNext(next: number | null): void {
  if (next !== null) note(`more: --after ${next}`)
}
