/** Findings in words for people: a mark, the check, what was found; the cure below it, and the command to paste. */
import { widthOf, wrapped } from "../output/table.ts"
import { toned } from "../output/terminal.ts"
import { count } from "../output/words.ts"
import type { Finding, Level } from "./check.ts"

const marks: Record<Level, string> = { ok: "✓", note: "·", warning: "!", wrong: "✗" }

/** Columns of the longest name of a check. */
const name_width = "permissions".length
/** Narrower, and what was found stands below the name of the check. */
const two_columns_min = 60

/** `width` undefined: as wide as it is. */
export function findingLines({ check, level, message, cure, command }: Finding, width?: number): string[] {
  const isNarrow = width !== undefined && width < two_columns_min
  const indent = " ".repeat(isNarrow ? 2 : name_width + 4)
  const head = `${marks[level]} ${isNarrow ? `${check}:` : check.padEnd(name_width + 1)} `
  const lines = isNarrow
    ? wrapped(`${check}: ${message}`, width, indent).map((line, index) =>
        index === 0 ? `${marks[level]} ${line.slice(2)}` : line,
      )
    : wrapped(message, width, indent).map((line, index) => (index === 0 ? head + line.slice(widthOf(head)) : line))
  return [
    ...lines.map((line) => shaded(level, line)),
    ...(cure === undefined ? [] : wrapped(cure, width, indent)),
    // Never wrapped: it is to be pasted.
    ...(command === undefined ? [] : [`${indent}  ${toned("strong", command)}`]),
  ]
}

function shaded(level: Level, line: string): string {
  if (level === "wrong") return toned("bad", line)
  if (level === "warning") return toned("warning", line)
  return line
}

export function totalLines(found: readonly Finding[], checks: number, width?: number): string[] {
  const of = (level: Level) => found.filter((finding) => finding.level === level).length
  const wrong = of("wrong")
  const warnings = of("warning")
  const said = [
    ...(wrong > 0 ? [`${wrong.toLocaleString("en")} wrong`] : []),
    ...(warnings > 0 ? [count(warnings, "warning")] : []),
  ]
  const total = `${count(checks, "check")}: ${said.length > 0 ? said.join(", ") : "nothing is wrong"}`
  const tone = wrong > 0 ? "bad" : warnings > 0 ? "warning" : "good"
  return wrapped(`${total}${wrong > 0 ? "; a person is needed" : ""}`, width, "").map((line) => toned(tone, line))
}
