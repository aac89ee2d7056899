/** Which outbox a command is about, and who named it. */
import { homedir } from "node:os"
import { resolve } from "node:path"
import { outboxFile } from "../../opencode/data-place.ts"
import { type Input, textOption } from "../input/command.ts"
import { note, printable } from "../output/terminal.ts"

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

/** On standard error, for a person who did not name it. */
export function notePlace(input: Input, place: OutboxPlace): void {
  if (place.by !== "--db" && !input.options.json) note(`outbox: ${placeText(place)}`)
}
