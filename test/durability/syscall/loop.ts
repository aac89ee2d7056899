/** The fault at one call after another, until the life has no more of them. */
import { type Fault, type Libraries, type Mode, type ModeName, modes } from "./fault.ts"
import { ended_by_fault, live, type LifeOptions } from "./life.ts"
import { wrongOf } from "./wrong.ts"

export interface Tally {
  /** Calls that met the fault. */
  points: number
  runs: number
  /** Runs that ended before the call was made, or in which another call had its number. */
  missed: number
  /** Units whose record threw. */
  refused: number
  /** First few are told: mode, call, and what was wrong. */
  wrong: string[]
}

export interface LoopOptions extends LifeOptions {
  /** Every how many calls; 1 is all. */
  step?: number
  /** Which calls, by their line. */
  only?: (call: string) => boolean
  /** Power losses per call, each of other sectors. */
  seeds?: number
  /** A control has shown what it must as soon as something is wrong. */
  untilWrong?: boolean
  progress?: (done: number, of: number, wrong: number) => void
}

/** Runs at a time: the machine for which this was written has two cores. */
const parallel = 2

/** `calls`: those of a life without a fault, as `live` notes them. */
export async function loop(
  libraries: Libraries,
  name: ModeName,
  calls: readonly string[],
  { step = 1, only, seeds = 1, untilWrong = false, progress, ...options }: LoopOptions = {},
): Promise<Tally> {
  const mode: Mode = modes[name]
  const faults = pointsOf(mode, calls)
    .filter((at) => !only || only(calls[at - 1]!))
    .filter((_, index) => index % step === Object.keys(modes).indexOf(name) % step)
    .flatMap((at) => (mode.kind === "forget" ? seedsOf(at, seeds) : [{ at }]))
    .map((where): Fault => ({ ...mode, ...where }))
  const tally: Tally = { points: 0, runs: 0, missed: 0, refused: 0, wrong: [] }
  const met = new Set<number>()
  const left = [...faults]
  const worker = async () => {
    for (let fault = left.shift(); fault; fault = left.shift()) {
      if (untilWrong && tally.wrong.length > 0) return
      const life = await live(libraries, fault, options)
      tally.runs++
      const call = calls[fault.at - 1]!
      const isMet = mode.kind === "forget" ? life.status === ended_by_fault : life.calls[0] === call
      if (isMet) met.add(fault.at)
      else tally.missed++
      tally.refused += life.words.filter((word) => "refused" in word).length
      const where = mode.kind === "forget" ? `event ${fault.at}, seed ${fault.seed}` : `call ${call}`
      tally.wrong.push(...wrongOf(life).map((wrong) => `${name} at ${where}: ${wrong}`))
      progress?.(tally.runs, faults.length, tally.wrong.length)
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return { ...tally, points: met.size }
}

/** A torn write needs one that can tear; the model of a power loss counts a sync twice, and the shared index not at all. */
function pointsOf({ kind }: Mode, calls: readonly string[]): number[] {
  const numbers = calls.map((_, index) => index + 1)
  if (kind === "torn")
    return numbers.filter((at) => {
      const [, call, , bytes] = calls[at - 1]!.split(" ")
      return call === "pwrite" && Number(bytes) > 1
    })
  if (kind !== "forget") return numbers
  const events = calls
    .map((line) => line.split(" "))
    .filter(([, , file]) => !file!.endsWith("-shm"))
    .reduce((sum, [, call, file]) => sum + (call!.endsWith("sync") && file !== "." ? 2 : 1), 0)
  return Array.from({ length: events }, (_, index) => index + 1)
}

function seedsOf(at: number, count: number): { at: number; seed: number }[] {
  return Array.from({ length: count }, (_, index) => ({ at, seed: at * 1_000 + index }))
}
