/** Crashes at every named point, and at every point of the recovery. */
import { crashScenarios, exploreCrashes } from "../../src/testing/index.ts"
import type { Section } from "./section.ts"

export const crash: Section = {
  name: "crash",
  async run({ progress }) {
    const figures: Record<string, number | number[]> = {}
    const wrong: string[] = []
    for (const scenario of crashScenarios) {
      progress(`crash: ${scenario.name}`)
      // A thousand ops in each of its lives.
      const every = scenario.name === "prune" ? 11 : 1
      const [explored] = await exploreCrashes({ scenarios: [scenario], depth: 2, every })
      const { names, hits, lives, violations } = explored!
      figures[`${scenario.name}: points, passages, lives, violations`] = [names.length, hits, lives, violations.length]
      wrong.push(...violations)
    }
    return { figures, wrong }
  },
}
