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

/** Between two power losses after a sync that failed. */
const events_between = 13
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
  const faults = faultsOf(mode, calls, seeds)
    .filter(({ at }) => !only || only(calls[at - 1]!))
    .filter((_, index) => index % step === Object.keys(modes).indexOf(name) % step)
  const tally: Tally = { points: 0, runs: 0, missed: 0, refused: 0, wrong: [] }
  const met = new Set<number>()
  const left = [...faults]
  const worker = async () => {
    for (let fault = left.shift(); fault; fault = left.shift()) {
      if (untilWrong && tally.wrong.length > 0) return
      const life = await live(libraries, fault, options)
      tally.runs++
      const call = calls[fault.at - 1]!
      // After a failed sync the life is another: it may have ended before.
      const isMet = mode.kind === "forget" ? mode.afterSync || life.status === ended_by_fault : life.calls[0] === call
      if (isMet) met.add(fault.at)
      else tally.missed++
      tally.refused += life.words.filter((word) => "refused" in word).length
      const where =
        mode.kind === "forget"
          ? `event ${fault.at}, seed ${fault.seed}${fault.sync ? `, sync ${fault.sync} failed` : ""}`
          : `call ${call}`
      tally.wrong.push(...wrongOf(life).map((wrong) => `${name} at ${where}: ${wrong}`))
      progress?.(tally.runs, faults.length, tally.wrong.length)
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return { ...tally, points: met.size }
}

function faultsOf(mode: Mode, calls: readonly string[], seeds: number): Fault[] {
  if (mode.afterSync) return faultsAfterSyncs(mode, calls)
  if (mode.kind !== "forget") return pointsOf(mode, calls).map((at) => ({ ...mode, at }))
  const all = Array.from({ length: eventsOf(calls) }, (_, index) => index + 1)
  return all.flatMap((at) => Array.from({ length: seeds }, (_, seed) => ({ ...mode, at, seed: at * 1_000 + seed })))
}

/** A torn write needs one that can tear. */
function pointsOf({ kind }: Mode, calls: readonly string[]): number[] {
  const numbers = calls.map((_, index) => index + 1)
  if (kind !== "torn") return numbers
  return numbers.filter((at) => {
    const [, call, , bytes] = calls[at - 1]!.split(" ")
    return call === "pwrite" && Number(bytes) > 1
  })
}

/** Each sync fails, and then the power does, at some events until the end. */
function faultsAfterSyncs(mode: Mode, calls: readonly string[]): Fault[] {
  const syncs = calls.flatMap((line, index) => (isFileSync(line) ? [index] : []))
  const end = eventsOf(calls)
  return syncs.flatMap((index, sync) => {
    const from = eventsOf(calls.slice(0, index + 1))
    const count = Math.ceil((end - from) / events_between) + 1
    return Array.from({ length: count }, (_, n) => {
      const at = Math.min(end, from + 1 + n * events_between)
      return { ...mode, at, sync: sync + 1, seed: at * 1_000 + sync }
    })
  })
}

/** Events of the model of a power loss: a sync counts twice, the shared index not at all. */
function eventsOf(calls: readonly string[]): number {
  const counted = calls.filter((line) => !line.split(" ")[2]!.endsWith("-shm"))
  return counted.length + counted.filter(isFileSync).length
}

function isFileSync(line: string): boolean {
  const [, call, file] = line.split(" ")
  return call!.endsWith("sync") && file !== "."
}
