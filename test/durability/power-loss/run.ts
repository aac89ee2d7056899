/** The long run: `sh script/bun.sh test/durability/power-loss/run.ts --cuts 1000 [--from SEED]`. Fails on any loss. */
import { parseArgs } from "node:util"
import { tempDir } from "../../temp-dir.ts"
import { buildModel, canBuild, runCuts, type Mode } from "./cut.ts"

const { values } = parseArgs({
  options: { cuts: { type: "string", default: "200" }, from: { type: "string", default: "1" } },
})
const cuts = Number(values.cuts)
if (!canBuild) {
  console.log("skipped: the power-loss model needs Linux and gcc")
  process.exit(0)
}
await using dir = tempDir()
const library = await buildModel(dir.path)
const seeds = (count: number) => Array.from({ length: count }, (_, i) => Number(values.from) + i)
// Controls are there to show that the model sees a loss: fewer will do.
const plan: [Mode, number][] = [
  ["durable", cuts],
  ["record", Math.ceil(cuts / 10)],
  ["other", Math.ceil(cuts / 10)],
]
let failed = false
for (const [mode, count] of plan) {
  const figures = await runCuts(library, mode, seeds(count))
  console.log(JSON.stringify({ mode, ...figures }))
  const sound = figures.lost + figures.gaps + figures.damaged === 0
  failed ||= mode === "durable" ? !sound : figures.lost === 0
}
process.exit(failed ? 1 : 0)
