/** The figures of a run, for people. */
import { itemTypes, type Compared } from "./compare.ts"
import type { Paint } from "./paint.ts"
import type { ClientFigures, DemoResult } from "./result.ts"

const bar_width = 20
const columns = [18, 26, 0] as const

export function reportLines(result: DemoResult, paint: Paint): string[] {
  const { sturdy, memory, lost, doubled, outOfOrder } = result
  const failed = lost + doubled + outOfOrder > 0
  const verdict = `lost ${lost}, doubled ${doubled}, out of order ${outOfOrder}`
  return [
    "",
    paint.bold(row("", "Sturdy", "in-memory queue")),
    ...figures(result),
    "",
    paint.dim(`  at the service in the end, as opencode itself has it`),
    ...itemTypes.map((type) => row(`${type}s`, bar(sturdy.shown, type, paint), bar(memory.shown, type, paint))),
    row("lost", whole(lost, lossOf(sturdy), paint), whole(memory.lost, lossOf(memory), paint)),
    "",
    failed ? paint.red(paint.bold(verdict)) : paint.green(paint.bold(verdict)),
    "",
    ...words(result, failed),
    paint.dim("the outbox is kept; look into it with"),
    `npm run -s sturdy -- status --db ${result.outbox}`,
    "",
  ]
}

function figures({ sturdy, memory, ops, superseded, batches, events, faults }: DemoResult): string[] {
  const rows: [string, string | number, string | number][] = [
    ["events", events, events],
    ["ops", `${ops} (${superseded} replaced)`, "–"],
    ["batches", batches, "–"],
    ["POSTs", sturdy.posts, memory.posts],
    ["  retries", sturdy.retries, memory.retries],
    ["SIGKILLs", faults.kills, faults.kills],
    ["network faults", faults.network, faults.network],
  ]
  return rows.map(([label, left, right]) => row(label, String(left), String(right)))
}

function row(label: string, left: string, right: string): string {
  return `  ${pad(label, columns[0])}  ${pad(left, columns[1])}  ${right}`.trimEnd()
}

/** By what is seen: colours have no width. */
function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)))
}

function bar(shown: Compared, type: (typeof itemTypes)[number], paint: Paint): string {
  const { right, of } = shown
  const filled = Math.floor((bar_width * right[type]) / of[type])
  const colour = right[type] === of[type] ? paint.green : paint.red
  return `${colour("█".repeat(filled))}${paint.dim("░".repeat(bar_width - filled))} ${right[type]}`
}

function whole(lost: number, detail: string, paint: Paint): string {
  return lost > 0 ? `${paint.red(paint.bold(String(lost)))}${detail}` : paint.green(paint.bold("0"))
}

function lossOf({ opsLost, shown: { missing, stale, ghosts } }: ClientFigures): string {
  const kinds = [`${missing} missing`, `${stale} stale`]
  if (ghosts) kinds.push(`${ghosts} ghosts`)
  if (opsLost) kinds.push(`${opsLost} ops`)
  return ` (${kinds.join(", ")})`
}

function words({ sabotage, seed }: DemoResult, failed: boolean): string[] {
  if (sabotage && failed)
    return [
      "The client was sabotaged: it acknowledged events before it had recorded them,",
      "so each SIGKILL took what was still in its memory. The comparison found that,",
      "as it must.",
    ]
  if (sabotage) return ["The client was sabotaged, and nothing was found: this run proves nothing."]
  if (failed) return [`This must not happen. Please report it with the seed: ${seed}.`]
  return []
}
