/** Plays one trial, waits until the service is complete or cannot be, and says what is wrong. */
import type { SessionState } from "./client.ts"
import { compare, noDifference, type Difference } from "./compare.ts"
import { lostEvents, type Lost } from "./lost-events.ts"
import type { HeldShare } from "./service.ts"
import type { Subject } from "./subject.ts"
import { Lab, type Ground, type Trial } from "./trial.ts"

export interface Figures extends Difference, Lost {
  share: "open" | "gone" | "never made"
  /** Further open shares of the same sessions, which nobody knows. */
  shares_orphaned: number
}

export interface Played {
  name: string
  what: string
  figures: Figures
  /** From the end of the fault until everything of before was there. */
  caught_up_ms: number | undefined
  /** From the last step until everything was there. */
  complete_ms: number | undefined
  seconds: number
  /** What is not as it must be; empty if all is. */
  wrong: string[]
}

/** Nothing came for so long: what was sent has arrived. Three times the built-in client's own delay. */
const silent_ms = 3000
/** The same for a trial that is complete. */
const quiet_ms = 1000

export async function play(ground: Ground, trial: Trial): Promise<Played> {
  const began = performance.now()
  await using lab = await Lab.open(ground, trial)
  const failed = await trial.run(lab).then(
    () => [],
    (error: unknown) => [`the trial itself failed: ${error instanceof Error ? error.message : String(error)}`],
  )
  if (!lab.isRunning) await lab.start()
  const settled = await settle(lab, trial)
  return {
    name: trial.name,
    what: trial.what,
    figures: settled.figures,
    caught_up_ms: lab.caught_up_ms,
    complete_ms: settled.complete_ms,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    wrong: [
      ...(trial.shares_offline && !lab.subject.foresees ? [] : failed),
      ...wrongOf(settled.figures, trial, lab.subject),
    ],
  }
}

async function settle(lab: Lab, trial: Trial): Promise<{ figures: Figures; complete_ms: number | undefined }> {
  const began = performance.now()
  const deadline = began + (trial.deadline_ms ?? 75_000)
  let changed = { at: began, changes: lab.service.changes, requests: lab.service.requests }
  let complete_ms: number | undefined
  for (;;) {
    const figures = await figuresOf(lab, trial)
    const now = performance.now()
    const { changes, requests } = lab.service
    if (changes !== changed.changes || requests !== changed.requests) changed = { at: now, changes, requests }
    const isComplete = wrongOf(figures, trial, lab.subject).length === 0
    complete_ms = isComplete ? (complete_ms ?? Math.round(now - began)) : undefined
    if (isComplete && now - Math.max(changed.at, began + complete_ms!) > quiet_ms) return { figures, complete_ms }
    if (!isComplete && now > deadline) return { figures, complete_ms }
    if (!isComplete && !lab.subject.durable && now - changed.at > silent_ms) return { figures, complete_ms }
    await Bun.sleep(200)
  }
}

async function figuresOf(lab: Lab, trial: Trial): Promise<Figures> {
  const [states, shares, events] = [await lab.client.state(), await lab.service.shares(), lab.events]
  if (lab.sessions.size === 0) addRoot(lab, states)
  const difference = noDifference()
  const lost: Lost = { events: 0, events_lost: 0, removals_lost: 0 }
  const own = [...lab.sessions].map((id) => ({ id, shares: shares.filter(({ session_id }) => session_id === id) }))
  for (const { id, shares } of own) {
    const share = shares.at(-1)
    if (trial.share === "gone" && share?.open !== true) continue
    compare(
      difference,
      states.find(({ info }) => info.id === id),
      share,
    )
    const sum = lostEvents(events, id, share)
    lost.events += sum.events
    lost.events_lost += sum.events_lost
    lost.removals_lost += sum.removals_lost
  }
  return {
    ...difference,
    ...lost,
    share: own.map(({ shares }) => fateOf(shares.at(-1))).reduce((one, other) => (one === other ? one : "never made")),
    shares_orphaned: own.flatMap(({ shares }) => shares.slice(0, -1)).filter(({ open }) => open).length,
  }
}

function addRoot(lab: Lab, states: SessionState[]): void {
  const root = states.find(({ info }) => info.parentID === undefined)
  if (root) lab.sessions.add(root.info.id)
}

function fateOf(share: HeldShare | undefined): Figures["share"] {
  if (!share) return "never made"
  return share.open ? "open" : "gone"
}

/** Figures that must be 0. */
const zero = [
  "states_lost",
  "messages_missing",
  "messages_stale",
  "parts_missing",
  "parts_stale",
  "sessions_stale",
  "characters_missing",
  "shares_orphaned",
] as const

/** The same, where the service can be told of removals and of the ends of turns. */
const zero_if_told = ["removals_lost", "messages_ghost", "parts_ghost", "turns_dangling"] as const

function wrongOf(figures: Figures, { share = "open", shares_offline }: Trial, { tells, foresees }: Subject): string[] {
  if (shares_offline && !foresees)
    return figures.share === "open" ? ["a share was made that was told to have failed"] : []
  const all = { ...figures, states_lost: figures.events_lost - figures.removals_lost }
  const names = [...zero, ...(tells ? zero_if_told : [])]
  const wrong = names.filter((name) => all[name] !== 0).map((name) => `${name} is ${all[name]}`)
  if (figures.share !== share) wrong.push(`the share is ${figures.share}, must be ${share}`)
  return wrong
}
