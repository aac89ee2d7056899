/** What is wrong after a life, by the promises of ARCHITECTURE.md: nothing lost, doubled, reordered, split or untold. */
import { ended_by_fault, type Life } from "./life.ts"
import { type OpName, planned, type Word } from "./plan.ts"

/** What a disk that fails may make an outbox say. Above all not that the file is damaged: it is not. */
const lawful_codes = new Set(["storage_fault", "disk_full", "sync_failed", "database_unopenable"])

interface Unit {
  names: OpName[]
  /** Undefined: the process ended in the middle, or record threw. */
  op_ids: string[] | undefined
}

/** The units in the order in which they were first tried, with what became of them last. */
function unitsOf(words: readonly Word[]): Unit[] {
  const units = new Map<string, Unit>()
  for (const word of words) {
    if ("trying" in word)
      units.set(word.trying.join(), units.get(word.trying.join()) ?? { names: word.trying, op_ids: undefined })
    if ("recorded" in word) units.get(word.recorded.join())!.op_ids = word.op_ids
  }
  return [...units.values()]
}

export function wrongOf(life: Life): string[] {
  return [
    ...wrongEnd(life),
    ...life.words.flatMap((word) => ("wrong" in word ? [word.wrong] : [])),
    ...life.aftermath.wrong,
    ...wronglyAside(life),
    ...wrongCodes(life),
    ...lost(life),
    ...doubled(life),
    ...reordered(life),
    ...split(life),
    ...untrue(life),
    ...wronglyDurable(life),
  ]
}

function wrongEnd({ fault, status, complaint }: Life): string[] {
  const ends = fault !== undefined && ["crash", "torn", "forget"].includes(fault.kind)
  if (status === 0 || (ends && status === ended_by_fault)) return []
  return [`the process ended with ${status}: ${complaint.trim().split("\n").slice(-8).join(" | ")}`]
}

/** Only a power loss leaves whole frames behind a broken one, and such a -wal is kept. */
function wronglyAside({ fault, aftermath: { aside } }: Life): string[] {
  return aside === undefined || fault?.kind === "forget" ? [] : [`put aside: ${aside}`]
}

function wrongCodes({ words }: Life): string[] {
  return words.flatMap((word) => {
    if (!("code" in word) || lawful_codes.has(word.code)) return []
    return [`${"failed" in word ? word.failed : `record of ${word.refused.join()}`} said ${word.code}`]
  })
}

/** I1: an op whose record returned, or for which durable() resolved before the power failed, is in one state, the right one. */
function lost(life: Life): string[] {
  const { states, held, effects } = life.aftermath
  return keptOf(life).flatMap(({ name, op_id }) => {
    // A process that lies about record does not know the id.
    if (op_id === "") return held.has(name) ? [] : [`lost: ${name}`]
    const found = states.get(op_id) ?? []
    if (found.length !== 1) return [`lost: ${name} is ${found.join(" and ") || "nowhere"}`]
    const [state] = found
    const lawful = isDoomed(life, name) ? ["failed"] : planned(name).key ? ["acked", "superseded"] : ["acked"]
    if (!lawful.includes(state!)) return [`${name} is ${state}, not ${lawful.join(" or ")}`]
    if ((state === "acked") === effects.includes(name)) return []
    return [`I4: ${name} is ${state} here, and ${state === "acked" ? "not " : ""}applied at the service`]
  })
}

/** Recorded, and promised to be there whatever the fault was. */
function keptOf({ fault, words }: Life): { name: OpName; op_id: string }[] {
  const until = fault?.kind === "forget" ? coveredUntil(words) : words.length
  return unitsOf(words.slice(0, until)).flatMap(({ names, op_ids = [] }) =>
    op_ids.map((op_id, index) => ({ name: names[index]!, op_id })),
  )
}

/** What was said before durable() was asked is covered once it resolved. */
function coveredUntil(words: readonly Word[]): number {
  const resolved = words.findLastIndex((word) => "durable" in word && word.durable === "resolved")
  return (
    words.slice(0, Math.max(0, resolved)).findLastIndex((word) => "durable" in word && word.durable === "asked") + 1
  )
}

/** The service rejects it, or what it depends on: it does if that had been recorded when this one was. */
function isDoomed({ words }: Life, name: OpName): boolean {
  const { refused, on } = planned(name)
  if (refused || on === undefined) return refused === true
  const tried = words.findLastIndex((word) => "trying" in word && word.trying.includes(name))
  return words.slice(0, tried).some((word) => "recorded" in word && word.recorded.includes(on as OpName))
}

/** I2. */
function doubled({ aftermath: { effects } }: Life): string[] {
  return effects.filter((name, index) => effects.indexOf(name) !== index).map((name) => `doubled: ${name}`)
}

/** I3. An op whose record threw and that was there all the same keeps its first place; repeated, it may have either. */
function reordered({ words, aftermath: { effects } }: Life): string[] {
  const threw = new Set(words.flatMap((word) => ("refused" in word ? word.refused : [])))
  const order = [...unitsOf(words).flatMap(({ names }) => names), "z1" as const].filter((name) => !threw.has(name))
  const got = effects.filter((name) => !threw.has(name))
  const sorted = got.toSorted((a, b) => order.indexOf(a) - order.indexOf(b))
  return got.join() === sorted.join() ? [] : [`out of order: ${got.join(" ")}`]
}

/** I6: all ops of a unit or none; after a power loss a prefix of what was recorded, without gaps. */
function split({ fault, words, aftermath: { held, states } }: Life): string[] {
  const units = unitsOf(words)
  const torn = units.filter(({ names }) => {
    const count = names.filter((name) => held.has(name)).length
    return count > 0 && count < names.length
  })
  const op_ids = units.flatMap((unit) => unit.op_ids ?? [])
  const firstGone = op_ids.findIndex((op_id) => !states.has(op_id))
  const gap = fault?.kind === "forget" && firstGone >= 0 && op_ids.slice(firstGone).some((op_id) => states.has(op_id))
  return [
    ...torn.map(({ names }) => `split: ${names.join()}`),
    ...(gap ? ["a gap: a later op outlived an earlier one"] : []),
  ]
}

/** I7: a record that threw says truly whether it is known that nothing was written. */
function untrue({ fault, words, aftermath: { held, effects } }: Life): string[] {
  const refusals = words.filter((word) => "refused" in word)
  const atOnce = refusals.flatMap(({ refused, indeterminate, captured = [] }) => {
    if (new Set(captured).size > 1) return [`${refused.join()}: record threw and left some of them`]
    return captured[0] && !indeterminate ? [`${refused.join()}: nothing was written, it said, and it was`] : []
  })
  const isOnce = fault !== undefined && !fault.sticky
  const tooMany = isOnce && refusals.length > 1 ? [`one call failed, ${refusals.length} records threw`] : []
  const recorded = new Set(words.flatMap((word) => ("recorded" in word ? word.recorded : [])))
  const never = refusals.filter(({ refused }) => !recorded.has(refused[0]!))
  if (fault?.repeat) return [...atOnce, ...tooMany, ...never.map(({ refused }) => `${refused.join()}: never recorded`)]
  const later = never.flatMap(({ refused, indeterminate, captured }) => {
    const isThere = refused.some((name) => held.has(name) || effects.includes(name))
    if (isThere && !indeterminate) return [`${refused.join()}: nothing was written, it said, and it was sent`]
    return !isThere && captured?.[0] ? [`${refused.join()}: it was there, and is gone`] : []
  })
  return [...atOnce, ...tooMany, ...later]
}

/** A sync that failed is told: fdatasync is called for durable() alone. */
function wronglyDurable({ fault, calls, words }: Life): string[] {
  if (fault?.kind !== "eio" && fault?.kind !== "enospc") return []
  const isSync = calls[0]?.split(" ")[1] === "fdatasync"
  const told = words.some((word) => "failed" in word && word.failed === "durable" && word.code === "sync_failed")
  return isSync && !told ? ["durable() resolved, and its sync had failed"] : []
}
