/** Every fault at every write and sync system call of a life, and the controls, which must be found out. */
import { tempDir } from "../temp-dir.ts"
import { buildLibraries, canBuild, type ModeName, modes } from "../durability/syscall/fault.ts"
import { live } from "../durability/syscall/life.ts"
import { loop, type LoopOptions } from "../durability/syscall/loop.ts"
import type { Section } from "./section.ts"

/** Power losses per event, each of other sectors. */
const seeds = 2

const controls: Record<string, [mode: ModeName, options: LoopOptions]> = {
  "acknowledged before it is recorded": ["crash", { sabotage: "early", step: 17 }],
  "an error of record that is not told": ["eio", { sabotage: "silent", step: 17 }],
  "a sync that failed unheard, and the power fails": ["power_after_eio", { env: { PL_SWALLOW: "1" }, step: 7 }],
  "an error of a sync that is not heard": [
    "eio",
    { env: { FAULT_SWALLOW: "1" }, only: (call) => call.includes(" fdatasync ") },
  ],
}

export const syscall: Section = {
  name: "syscall",
  async run({ progress }) {
    if (!canBuild) {
      console.error("skipped: faults at system calls need Linux and gcc")
      return { wrong: [], figures: {} }
    }
    await using dir = tempDir()
    const libraries = await buildLibraries(dir.path)
    const { calls } = await live(libraries, undefined)
    const wrong: string[] = []
    const figures: Record<string, number | number[]> = { system_calls: calls.length }
    for (const mode of Object.keys(modes) as ModeName[]) {
      const tally = await loop(libraries, mode, calls, {
        seeds,
        progress: (done, of, wrong) => progress(`syscall: ${mode}, ${done} of ${of} runs, ${wrong} things wrong`),
      })
      figures[`${mode}_points_runs_refused_wrong`] = [tally.points, tally.runs, tally.refused, tally.wrong.length]
      wrong.push(...tally.wrong)
      if (tally.missed > 0) wrong.push(`${mode}: ${tally.missed} runs did not meet their fault where it was due`)
    }
    let found = 0
    for (const [what, [mode, options]] of Object.entries(controls)) {
      progress(`syscall: control, ${what}`)
      const tally = await loop(libraries, mode, calls, { ...options, untilWrong: true })
      if (tally.wrong.length > 0) found++
      else wrong.push(`the control "${what}" found nothing: the check is blind`)
    }
    figures.controls_found = found
    return { wrong, figures }
  },
}
