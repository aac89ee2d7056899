/** The long version: `sh script/bun.sh test/torture/run.ts --rounds 200 [--seed 1]`. Exit code 1 if anything differs. */
import { parseArgs } from "node:util"
import { recordingNames } from "../opencode/reference.ts"
import { type Moment, tortureRound } from "./round.ts"
import { seeded } from "./seeded.ts"

const { values } = parseArgs({ options: { rounds: { type: "string" }, seed: { type: "string" } } })
const rounds = Number(values.rounds ?? 200)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const counts: Partial<Record<Moment, number>> = {}
let bad = 0
const began = performance.now()
for (let round = 0; round < rounds; round++) {
  const recording = recordingNames[round % recordingNames.length]!
  // Few kills leave much to do after the last one, many meet every moment.
  const kills = 1 + Math.floor(seeded(seed + round).fraction() * 12)
  const { wrong, moments } = await tortureRound(recording, seed + round, kills)
  for (const moment of moments) counts[moment] = (counts[moment] ?? 0) + 1
  if (wrong.length > 0)
    console.log(`round ${round}: ${recording}, seed ${seed + round}, ${kills} kills: ${wrong.join("; ")}`)
  if (wrong.length > 0) bad += 1
}
const seconds = Math.round((performance.now() - began) / 1000)
console.log(JSON.stringify({ rounds, bad, seed, seconds, kills: counts }))
process.exitCode = bad > 0 ? 1 : 0
