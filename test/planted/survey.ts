/**
 * How soon the simulator alone finds each planted bug: `sh script/bun.sh test/planted/survey.ts [--seeds-max N]
 * [--only NAME] [--json]`, by hand. Of each patch it tries growing numbers of seeds, and then halves the last step, so
 * the number that it prints is the first that suffices. Exit code 1 if one is not found.
 */
import { parseArgs } from "node:util"
import type { TempDir } from "../temp-dir.ts"
import { copyOfProduct, plant } from "./copy.ts"
import { bySimulator, run } from "./layer.ts"
import { planted } from "./planted.ts"

/** ms: as many seeds as anybody asks for. */
const run_ms_max = 10 * 60_000

interface Found {
  /** The first number of seeds within which it is found; undefined if not even the most that were tried suffice. */
  seeds: number | undefined
  /** s of the run that found it, of the process and its start. */
  seconds: number
  says: string
  clean: boolean
}

const { values } = parseArgs({
  options: {
    "seeds-max": { type: "string", default: "4096" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
})
const seeds_max = Number(values["seeds-max"])
const chosen = planted.filter(({ patch }) => values.only === undefined || patch === values.only)
if (!(Number.isSafeInteger(seeds_max) && seeds_max > 0 && chosen.length > 0)) {
  console.error("usage: [--seeds-max N] [--only NAME OF A PATCH] [--json]")
  process.exit(2)
}

{
  await using whole = copyOfProduct()
  const { clean, output } = await run(bySimulator(seeds_max), whole.path, run_ms_max)
  if (!clean) {
    console.error(`the simulator does not run, or finds something where no bug is planted:\n${output}`)
    process.exit(1)
  }
}
const width = Math.max(...chosen.map(({ patch }) => patch.length))
let missed = 0
for (const { patch } of chosen) {
  await using copy = copyOfProduct()
  plant(copy, patch)
  const { seeds, seconds, says } = await firstSeeds(copy)
  if (seeds === undefined) missed += 1
  const columns = [
    patch.padEnd(width),
    (seeds ?? "missed").toString().padStart(7),
    `${seconds.toFixed(2).padStart(7)} s`,
  ]
  console.log(values.json ? JSON.stringify({ version: 1, patch, seeds, seconds, says }) : [...columns, says].join("  "))
}
if (!values.json) console.log(`${chosen.length - missed} of ${chosen.length} found within ${seeds_max} seeds`)
process.exitCode = missed > 0 ? 1 : 0

async function firstSeeds(copy: TempDir): Promise<Found> {
  let tooFew = 0
  let enough: Found
  for (let seeds = 1; ; seeds = Math.min(seeds * 4, seeds_max)) {
    enough = await within(copy, seeds)
    if (enough.seeds !== undefined) break
    if (!enough.clean || seeds === seeds_max) return enough
    tooFew = seeds
  }
  while (enough.seeds! - tooFew > 1) {
    const half = Math.floor((tooFew + enough.seeds!) / 2)
    const found = await within(copy, half)
    if (found.seeds === undefined) tooFew = half
    else enough = found
  }
  return enough
}

async function within(copy: TempDir, seeds: number): Promise<Found> {
  const began = performance.now()
  const { found, clean, output } = await run(bySimulator(seeds), copy.path, run_ms_max)
  const seconds = Math.round((performance.now() - began) / 10) / 100
  const says = found ?? (clean ? "nothing" : `it did not end: ${/^.*error.*$/im.exec(output)?.[0] ?? "no word"}`)
  return { seeds: found === undefined ? undefined : seeds, seconds, says, clean }
}
