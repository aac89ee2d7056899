/** The torture of several processes, round after round, and its two controls, which must fail. */
import { type Disturbances, severalRound } from "../torture/several/round.ts"
import type { Section } from "./section.ts"

const round_ms = 1_200
/** Rounds of each control: one may end without a kill at the wrong moment. */
const control_rounds = 6

export const torture: Section = {
  name: "torture",
  async run({ rounds, seed, progress }) {
    const sums: Partial<Disturbances> = {}
    const bad: string[] = []
    for (let round = 0; round < rounds; round++) {
      const { wrong, counts } = await severalRound({ seed: seed + round, ms: round_ms })
      for (const [name, count] of Object.entries(counts) as [keyof Disturbances, number][])
        sums[name] = (sums[name] ?? 0) + count
      if (wrong.length > 0) bad.push(`round ${round}, seed ${seed + round}: ${wrong.slice(0, 5).join("; ")}`)
      progress(`torture: round ${round + 1} of ${rounds}, ${bad.length} bad, ${sums.recorded} ops recorded`)
    }
    const blind: string[] = []
    for (const sabotage of ["client", "service"] as const)
      if (!(await found(sabotage, seed, progress)))
        blind.push(`the control "${sabotage}" found nothing: the check is blind`)
    return {
      wrong: [...bad, ...blind],
      figures: { rounds, bad_rounds: bad.length, ...sums, controls_found: 2 - blind.length },
    }
  },
}

async function found(sabotage: "client" | "service", seed: number, progress: (text: string) => void) {
  const word = sabotage === "client" ? "lost" : "doubled"
  for (let round = 0; round < control_rounds; round++) {
    progress(`torture: control, a ${sabotage} that must be found out`)
    const { wrong } = await severalRound({ seed: seed + round, ms: round_ms, sabotage })
    if (wrong.some((line) => line.startsWith(word))) return true
  }
  return false
}
