/** What a seed does: the knobs of its world, the faults that it may meet, and its steps, all drawn before it begins. */
import { Dice } from "./dice.ts"
import { faults, type FaultName } from "./faults.ts"
import { work, type WorkName } from "./work.ts"

export interface Knobs {
  /** Processes on the outbox file. */
  processes: number
  /** Streams, each to a share of its own. */
  streams: number
  /** The outbox creates its shares in its first POST; else they are there. */
  creates: boolean
  /** A way of a POST takes between nothing and so many ms. */
  travel_ms: number
  lingerMs: number
  retryDelayMsMin: number
  retryDelayMsMax: number
  leaseMs: number
  /** The host has a hook that records its state again. */
  resync: boolean
  /** So many of its ops have a key. */
  keyed: number
}

export interface Step {
  /** Time before it. */
  after_ms: number
  does: WorkName | FaultName
  /** Of its dice. */
  seed: number
}

export interface Plan {
  seed: number
  knobs: Knobs
  steps: Step[]
}

/** Seeds beyond it would do what smaller ones do: dice have 32 bits. */
export const seed_max = 2 ** 32 - 1

const steps_min = 10
const steps_max = 33

/** Work that such a seed does more often. */
const work_boost = 8

/**
 * Faults, and work, that go together, for seeds that meet no others: chaos of everything hides what only two of them do together
 * (a restore of the outbox with a rollback of the service was met once in 400 seeds).
 */
const biased: readonly (readonly (FaultName | WorkName)[])[] = [
  ["outbox restored", "service rolled back"],
  ["outbox restored", "request late", "answer lost"],
  ["outbox copied", "request late", "request lost"],
  ["outbox copied", "outbox restored", "service rolled back"],
  ["service rolled back", "request late", "request doubled"],
  ["process stopped", "answer slow", "process killed"],
  ["process stopped", "lock held", "clock jumped"],
  ["process killed at a point", "connection cut", "service killed after commit"],
  ["commit unknown", "commit failed", "process killed at a point"],
  ["disk full", "answer lost", "process killed"],
  ["secret rotated", "epoch raised", "request late"],
  ["share removed elsewhere", "request late", "outbox copied"],
  ["service swapped", "service rolled back", "request late"],
  ["gateway limit", "app bug", "request late"],
  ["app bug", "service killed before commit", "gateway status"],
  ["remove the share", "service rolled back"],
  ["remove the share", "request late", "request doubled"],
  ["remove the share", "service swapped"],
  ["outbox copied", "outbox restored", "request lost"],
  ["outbox copied", "pause"],
  ["outbox restored", "pause"],
  ["service busy once", "request lost", "answer lost"],
  ["process stopped", "answer slow", "request late"],
  ["capability expired", "secret rotated", "answer slow"],
]

/** @throws TypeError if the seed is none */
export function planOf(seed: number): Plan {
  if (!Number.isSafeInteger(seed) || seed < 0 || seed > seed_max)
    throw new TypeError(`a seed is a whole number from 0 to ${seed_max}, got ${String(seed)}`)
  const dice = new Dice(seed)
  const may = chosen(dice)
  const doing = [
    ...work.map((rule) => (may.has(rule.name) ? { ...rule, weight: rule.weight * work_boost } : rule)),
    ...faults.filter(({ name }) => may.has(name)).map(boosted(may.size)),
  ]
  const steps: Step[] = []
  const count = steps_min + dice.below(steps_max - steps_min + 1)
  for (let n = 0; n < count; n++)
    steps.push({ after_ms: gap(dice), does: dice.weighted(doing).name, seed: dice.seed() })
  return { seed, knobs: knobsOf(dice, may), steps }
}

/** All of them in a tenth of the seeds, each or none in half, and a few that go together in the rest. */
function chosen(dice: Dice): ReadonlySet<FaultName | WorkName> {
  const kind = dice.fraction()
  if (kind < 0.1) return new Set(faults.map(({ name }) => name))
  if (kind < 0.6) return new Set(faults.filter(() => dice.chance(0.4)).map(({ name }) => name))
  const few = new Set<FaultName | WorkName>(dice.pick(biased))
  if (dice.chance(0.5)) few.add(dice.pick(faults).name)
  return few
}

/** Few faults come as often as many. */
function boosted(count: number) {
  return <T extends { weight: number }>(fault: T): T => ({
    ...fault,
    weight: (fault.weight * faults.length) / (count + 3),
  })
}

function gap(dice: Dice): number {
  const kind = dice.fraction()
  if (kind < 0.3) return 0
  if (kind < 0.65) return dice.ms(1, 300)
  if (kind < 0.93) return dice.ms(300, 10_000)
  return dice.ms(10_000, 100_000)
}

/** What a fault needs to matter is more likely where it may strike. */
function knobsOf(dice: Dice, may: ReadonlySet<string>): Knobs {
  const retryDelayMsMin = dice.pick([1, 100, 500])
  return {
    // Who stops is overtaken by another.
    processes: dice.pick(may.has("process stopped") ? [1, 2, 2, 2, 3] : [1, 1, 1, 2, 2, 3]),
    // What a service forgot of one share is met by the stream of another.
    streams: dice.chance(may.has("remove the share") ? 0.8 : 0.25) ? 2 : 1,
    creates: dice.chance(0.4),
    travel_ms: dice.pick([0, 5, 100, 2_000]),
    lingerMs: dice.pick(may.has("outbox copied") ? [0, 50, 1_000, 5_000] : [0, 50, 50, 1_000]),
    retryDelayMsMin,
    retryDelayMsMax: dice.pick([3_000, 10_000, 60_000]),
    leaseMs: dice.pick([3_000, 10_000, 10_000]),
    resync: dice.chance(0.3),
    // While it pauses nothing is frozen, so that newer ops replace older ones.
    keyed: may.has("pause") ? 0.9 : 0.4,
  }
}
