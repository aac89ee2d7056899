/** 8 processes record into one file while one of them sends: what each gets done, and how long it waits for the lock. */
import * as limit from "../../src/intent/limit.ts"
import { crowdOf } from "./crowd.ts"
import type { Section } from "./section.ts"

const processes = 8

export const busy: Section = {
  name: "busy",
  async run({ progress }) {
    const wrong: string[] = []
    const figures: Record<string, number | number[]> = {}
    for (const [name, rate] of [
      ["at_300_per_s", 300],
      ["flat_out", null],
    ] as const) {
      progress(`busy: ${processes} processes, ${name}`)
      const { recorders } = await crowdOf(processes, rate)
      figures[`${name}_records`] = recorders.map(({ records }) => records)
      figures[`${name}_wait_ms_p99`] = recorders.map(({ waits }) => waits.p99)
      figures[`${name}_wait_ms_max`] = recorders.map(({ waits }) => waits.max)
      figures[`${name}_busy`] = recorders.map((recorder) => recorder.busy)
      figures[`${name}_posts`] = recorders.map(({ posts }) => posts)
      for (const recorder of recorders)
        if (recorder.busy > 0 || recorder.records === 0 || recorder.waits.max > limit.record_busy_ms_max / 2)
          wrong.push(
            `starved, ${name}: ${recorder.client} recorded ${recorder.records}, was refused ${recorder.busy} times and waited up to ${Math.round(recorder.waits.max)} ms`,
          )
    }
    return { wrong, figures }
  },
}
