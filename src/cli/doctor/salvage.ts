/** What can still be read of an outbox that is damaged: counted only then. */
import { salvage } from "../../inspect/damage/salvage.ts"
import { isDamageCode } from "../../store/fault.ts"
import { commandLine } from "../outbox/command-line.ts"
import { printable } from "../output/terminal.ts"
import { count } from "../output/words.ts"
import { salvagedText } from "../text/damage-text.ts"
import type { Check, Context } from "./check.ts"

/** Checks by which the file itself is wrong, whatever it holds. */
const ofFile: ReadonlySet<string> = new Set(["wal", "database", "pages"])

export const salvageCheck: Check = {
  name: "salvage",
  *run(context) {
    if (!isDamaged(context)) return
    context.progress("reading what can still be read")
    const { streams, tables, note, schema_damaged } = salvage(context.file)
    const told = streams.map(salvagedText)
    const gaps = tables.filter((table) => table.gaps > 0).map(({ table }) => table)
    yield {
      level: "note",
      message: `of ${count(streams.length, "stream")} can be read: ${told.join("; ") || "nothing"}${note === null ? "" : ` (${printable(note)})`}`,
      cure: "To get out of it what can be read:",
      command: commandLine(context.place, "export"),
      streams,
      tables,
      gaps,
      schema_damaged,
    }
  },
}

function isDamaged({ found, unopened }: Context): boolean {
  if (unopened) return isDamageCode(unopened.code)
  return found.some(({ check, level }) => level === "wrong" && ofFile.has(check))
}
