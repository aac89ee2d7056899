/** The figures as tables for people, in markdown, and as the file that a later run compares with. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Played } from "./play.ts"

const baseline_file = join(import.meta.dir, "baseline.json")
const document_file = join(import.meta.dir, "..", "..", "docs", "opencode-trials.md")

type Column = [title: string, text: (played: Pick<Played, "figures">) => string]

const columns: Column[] = [
  ["bus events lost", ({ figures: f }) => `${f.events_lost}/${f.events}`],
  ["messages missing", ({ figures: f }) => `${f.messages_missing}/${f.messages}`],
  ["parts missing", ({ figures: f }) => `${f.parts_missing}/${f.parts}`],
  ["stale (messages+parts)", ({ figures: f }) => `${f.messages_stale}+${f.parts_stale}`],
  ["ghosts (messages+parts)", ({ figures: f }) => `${f.messages_ghost}+${f.parts_ghost}`],
  ["session info stale", ({ figures: f }) => (f.sessions_stale > 0 ? "yes" : "no")],
  ["characters missing", ({ figures: f }) => String(f.characters_missing)],
  ["turns dangling", ({ figures: f }) => String(f.turns_dangling)],
  ["share", ({ figures: f }) => (f.shares_orphaned > 0 ? `${f.share} and ${f.shares_orphaned} more` : f.share)],
]

/** One row per trial, one figure per cell. */
export function tableOf(played: readonly Played[]): string {
  const rows = played.map((trial) => [trial.what, ...columns.map(([, text]) => text(trial)), completeAfter(trial)])
  return table(["fault", ...columns.map(([title]) => title), "complete after"], rows)
}

/** The same beside the built-in client's: `built-in → plugin` where they differ. */
export function comparison(played: readonly Played[], baseline: readonly Pick<Played, "name" | "figures">[]): string {
  const rows = played.map((trial) => {
    const before = baseline.find(({ name }) => name === trial.name)
    const cells = columns.map(([, text]) => {
      const [old, now] = [before && text(before), text(trial)]
      return old === undefined || old === now ? now : `${old} → ${now}`
    })
    return [before ? trial.what : `${trial.what} ¹`, ...cells, completeAfter(trial)]
  })
  return table(["fault", ...columns.map(([title]) => title), "complete after"], rows)
}

export function storeBaseline(played: readonly Played[]): void {
  // Times are of one machine, and the examples hold ids that are new in every run.
  const kept = played.map(({ name, what, figures }) => ({ name, what, figures: { ...figures, examples: [] } }))
  writeFileSync(baseline_file, `${JSON.stringify(kept, null, 2)}\n`)
}

export function readBaseline(): Pick<Played, "name" | "what" | "figures">[] {
  return JSON.parse(readFileSync(baseline_file, "utf8")) as Played[]
}

/** Replaces what stands between the two marks of this name in docs/opencode-trials.md. */
export function writeDocument(name: "trials" | "times", text: string): void {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`]
  const document = readFileSync(document_file, "utf8")
  const [head, rest] = document.split(begin)
  const tail = rest?.split(end)[1]
  if (head === undefined || tail === undefined) throw new Error(`${document_file} has lost its marks of ${name}`)
  writeFileSync(document_file, `${head}${begin}\n\n${text}\n\n${end}${tail}`)
}

/** Aligned, as prettier has it. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, at) => Math.max(3, title.length, ...rows.map((row) => row[at]!.length)))
  const line = (cells: string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

/** After the end of the fault, or where there was none, after the last step. */
function completeAfter({ caught_up_ms, complete_ms }: Played): string {
  return complete_ms === undefined ? "never" : `${((caught_up_ms ?? complete_ms) / 1000).toFixed(1)} s`
}
