/**
 * What takes minutes: `npm run test:long [-- --rounds N] [--seed S] [--only NAME] [--json]`. Times are of this machine,
 * today; what must be 0 is 0 everywhere. Exit code 1 if anything was lost, doubled, out of order or starved.
 */
import { parseArgs } from "node:util"
import { busy } from "./busy.ts"
import { crash } from "./crash.ts"
import { gap } from "./gap.ts"
import { million } from "./million.ts"
import type { Section, SectionResult } from "./section.ts"
import { syscall } from "./syscall.ts"
import { takeover } from "./takeover.ts"
import { torture } from "./torture.ts"

// Times first: they are of a machine that has not been heated by the torture.
const sections: readonly Section[] = [takeover, gap, busy, million, torture, crash, syscall]

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "500" },
    seed: { type: "string" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
})
const rounds = Number(values.rounds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const chosen = sections.filter(({ name }) => values.only === undefined || values.only === name)
if (!(Number.isSafeInteger(rounds) && rounds > 0 && Number.isSafeInteger(seed) && chosen.length > 0)) {
  console.error(`usage: [--rounds N] [--seed S] [--json] [--only ${sections.map(({ name }) => name).join("|")}]`)
  process.exit(2)
}

const began = performance.now()
let said = -1
const results: [name: string, result: SectionResult][] = []
for (const section of chosen) results.push([section.name, await section.run({ rounds, seed, progress })])
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")

const wrong = results.flatMap(([, result]) => result.wrong)
const seconds = Math.round((performance.now() - began) / 1000)
if (values.json) {
  const figures = Object.fromEntries(results.map(([name, result]) => [name, result.figures]))
  console.log(JSON.stringify({ version: 1, seed, seconds, bun: Bun.version, ...figures, wrong }))
} else {
  for (const [name, { figures }] of results) console.log(`\n${name}\n${tableOf(figures)}`)
  console.log(`\nseed ${seed}, ${seconds} s, Bun ${Bun.version}`)
  for (const line of wrong) console.log(`WRONG: ${line}`)
  console.log(
    wrong.length === 0 ? "nothing lost, doubled, out of order or starved" : `${wrong.length} things are wrong`,
  )
}
process.exitCode = wrong.length > 0 ? 1 : 0

/** On a terminal one line that changes; elsewhere a line a minute at most. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (isTime()) console.error(text)
}

function isTime(): boolean {
  const minute = Math.floor((performance.now() - began) / 60_000)
  if (minute === said) return false
  said = minute
  return true
}

function tableOf(figures: SectionResult["figures"]): string {
  const width = Math.max(...Object.keys(figures).map((name) => name.length))
  return Object.entries(figures)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${[value].flat().map(shown).join("  ")}`)
    .join("\n")
}

function shown(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 })
}
