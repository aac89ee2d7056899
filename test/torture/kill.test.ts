/** Short version of test/torture/run.ts: `sh script/bun.sh test/torture/run.ts --rounds 200`. */
import { expect, test } from "bun:test"
import { tortureRound } from "./round.ts"

const seed = Number(process.env.STURDY_SEED ?? Math.floor(Math.random() * 2 ** 31))

for (const recording of ["fork-and-revert", "long-session-60"] as const)
  test(`${recording}: 20 kills of replay and one of the service leave what an undisturbed run leaves`, async () => {
    const { wrong } = await tortureRound(recording, seed, 20)
    expect({ seed, wrong }).toEqual({ seed, wrong: [] })
  }, 60_000)
