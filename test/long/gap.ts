/**
 * How late a 1 ms timer comes in a process that records and sends, alone and beside 7 others on its file, and beside it
 * the same of a process that does nothing at that time: the noise of the machine.
 */
import type { Percentiles } from "../torture/several/recorder-fixture.ts"
import { crowdOf } from "./crowd.ts"
import type { Section } from "./section.ts"

const cases = [
  ["idle", 1, 0],
  ["alone_300_per_s", 1, 300],
  ["alone_flat_out", 1, null],
  ["of_8_300_per_s", 8, 300],
  ["of_8_flat_out", 8, null],
] as const

export const gap: Section = {
  name: "gap",
  async run({ progress }) {
    const figures: Record<string, number> = {}
    const add = (name: string, { p999, max }: Percentiles) => {
      figures[`${name}_late_ms_p999`] = p999
      figures[`${name}_late_ms_max`] = max
    }
    for (const [name, processes, rate] of cases) {
      progress(`gap: ${name}`)
      const { recorders, bystander } = await crowdOf(processes, rate)
      // Whoever sends does the most beside recording; of the others the worst.
      const [sender, ...others] = recorders.toSorted((a, b) => b.posts - a.posts)
      add(`${name}${processes > 1 ? "_sender" : ""}`, sender!.lateness)
      const worst = others.toSorted((a, b) => b.lateness.max - a.lateness.max)[0]
      if (worst) add(`${name}_worst_other`, worst.lateness)
      add(`${name}_bystander`, bystander.lateness)
    }
    return { wrong: [], figures }
  },
}
