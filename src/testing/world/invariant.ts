/** The invariants of ARCHITECTURE.md, looked up in the databases of both ends. */
import { checkInvariants } from "../../inspect/invariant/check.ts"
import type { StreamRow } from "../../store/stream.ts"
import { statesIn, viewedStates } from "./op-state.ts"
import type { OpState, OutboxFile } from "./outbox-file.ts"
import type { World } from "./world.ts"

/** `running`: what holds at any time. `healed`: also what holds once faults have stopped. */
export type When = "running" | "healed"

/** What the service knows, read once per check. */
interface Served {
  /** Place of each op that had an effect. */
  place: Map<string, number>
  outcomes: ReadonlyMap<string, string>
}

/** One stream of one file. */
interface Seen {
  file: OutboxFile
  row: StreamRow
  recorded: readonly string[]
  states: ReadonlyMap<string, OpState[]>
}

export class Invariants {
  /** At the end, what the view for people says is compared too: 0.1 ms for each file. */
  comparesView = true
  /** Whatever was committed last, each row of each file is looked at; else at the end only: 0.2 ms for each file. */
  readsFiles = false
  #served: { version: number; served: Served; twice: string[] } | undefined
  /** Commits of each file when its rows were read. */
  readonly #read = new Map<OutboxFile, number>()
  /** What became of the ops of each file, as of its last commit. */
  readonly #states = new Map<OutboxFile, { commits: number; states: ReadonlyMap<string, OpState[]> }>()

  constructor(readonly world: World) {}

  /** @throws Error with what is wrong, a line each, and the trace */
  check(when: When = "running"): void {
    const wrong = this.violations(when)
    if (wrong.length > 0) throw new Error(`${wrong.join("\n")}\n--- trace\n${this.world.trace.join("\n")}`)
  }

  violations(when: When): string[] {
    const { served, twice } = this.#look()
    return [
      ...twice.map((op_id) => `I2 ${this.world.name(op_id)} was applied twice`),
      ...this.world.files.flatMap((file) => this.#file(file, served, when)),
    ]
  }

  #look(): { served: Served; twice: string[] } {
    const { server } = this.world
    if (this.#served?.version === server.version) return this.#served
    const effects = server.effectIds
    const served = { place: new Map(effects.map((op_id, at) => [op_id, at])), outcomes: server.outcomes }
    const twice = effects.filter((op_id, at) => served.place.get(op_id) !== at)
    this.#served = { version: server.version, served, twice }
    return this.#served
  }

  #statesOf(file: OutboxFile): ReadonlyMap<string, OpState[]> {
    const known = this.#states.get(file)
    if (known?.commits === file.commits) return known.states
    const states = statesIn(file)
    this.#states.set(file, { commits: file.commits, states })
    return states
  }

  #file(file: OutboxFile, served: Served, when: When): string[] {
    const states = this.#statesOf(file)
    const wrong = file.streamRows.flatMap((row) =>
      this.#stream({ file, row, recorded: file.recorded(row.name), states }, served, when),
    )
    if (this.readsFiles || when === "healed") wrong.push(...this.#stored(file))
    return when === "healed" && this.comparesView ? [...wrong, ...this.#view(file, states)] : wrong
  }

  /** What the file itself can tell of it, as `sturdy doctor` reads it. */
  #stored(file: OutboxFile): string[] {
    if (this.#read.get(file) === file.commits) return []
    this.#read.set(file, file.commits)
    return [...checkInvariants(file.db)].flatMap((step) =>
      step.kind === "finding" ? [`${step.invariant} ${file.name}: ${step.what} (${step.code})`] : [],
    )
  }

  #stream(seen: Seen, served: Served, when: When): string[] {
    const wrong = this.#counted(seen)
    // Until it is told, an outbox believes what a service acknowledged that was then rolled back.
    const isTold = when === "healed" && seen.row.block === null && seen.row.time_removal === null
    if (this.world.server.rollbacks === 0 || isTold)
      wrong.push(...this.#order(seen, served), ...this.#truth(seen, served))
    return when === "healed" ? [...wrong, ...this.#alive(seen, served)] : wrong
  }

  /** I1: exactly one state for each op whose record returned. */
  #counted({ file, row, recorded, states }: Seen): string[] {
    return recorded.flatMap((op_id) => {
      const found = states.get(op_id)
      if (found?.length === 1 || (row.pruned_op_id !== null && !found)) return []
      return [`I1 ${this.world.name(op_id)} in ${file.name} is ${found?.join(" and ") ?? "nowhere"}`]
    })
  }

  /**
   * I3: ops are applied in the order of recording, and only when every op before is decided or superseded. Those of a
   * retry that a copy made too were applied where that one had them.
   */
  #order({ file, row, recorded, states }: Seen, { place, outcomes }: Served): string[] {
    const wrong: string[] = []
    const mine = file.hasTwin ? recorded.filter((op_id) => !file.retried.has(op_id)) : recorded
    const applied = mine.filter((op_id) => place.has(op_id))
    for (let at = 1; at < applied.length; at++) {
      const [earlier, later] = [applied[at - 1]!, applied[at]!]
      if (place.get(earlier)! > place.get(later)!)
        wrong.push(
          `I3 ${this.world.name(later)} was applied before ${this.world.name(earlier)}, recorded in ${file.name}`,
        )
    }
    const last = applied.at(-1)
    if (last === undefined || this.world.server.shareOf(row.share_id) !== "live") return wrong
    for (const op_id of mine.slice(0, mine.indexOf(last)))
      if (!outcomes.has(op_id) && states.get(op_id)?.[0] !== "superseded")
        wrong.push(`I3 ${this.world.name(op_id)} in ${file.name} was passed over`)
    return wrong
  }

  /** I4: applied here ⇒ applied there; dead here ⇒ never there; superseded here too, unless a twin had sent it. */
  #truth({ file, row, recorded, states }: Seen, { place, outcomes }: Served): string[] {
    // Nobody tells it of ops once its share is removed.
    const remembersAll = this.world.server.rollbacks === 0
    const isLive = row.time_removal === null || remembersAll
    // To a service that had forgotten, a twin may have sent what replaced it there.
    const isReplaced = (op_id: string) => file.hasTwin && !remembersAll && outcomes.get(op_id) === "superseded"
    return recorded.flatMap((op_id) => {
      const state = states.get(op_id)?.[0]
      const name = `${this.world.name(op_id)} in ${file.name}`
      if (state === "applied" && !place.has(op_id) && isLive && !isReplaced(op_id))
        return [`I4 ${name} counts as applied and is not`]
      // A service that was rolled back has forgotten the rejection: a late request, or a copy that retries, may have it
      // applied there after all, and by that make known again what would have shown the rollback.
      const isSettled = state === "dead" && this.world.server.rollbacks === 0
      const never = isSettled || (state === "superseded" && !file.hasTwin)
      return never && place.has(op_id) ? [`I4 ${name} is ${state}, and applied`] : []
    })
  }

  /** I10: nothing waits, or a block says why; and what is applied is known to be. */
  #alive({ file, row, recorded, states }: Seen, { place }: Served): string[] {
    if (row.block !== null) return []
    const waiting = recorded.filter((op_id) => states.get(op_id)?.[0] === "pending")
    const known = waiting.filter((op_id) => place.has(op_id)).map((op_id) => this.world.name(op_id))
    const isOwed = row.time_removal !== null && row.time_closed === null
    return [
      ...known.map((name) => `I4 ${name} in ${file.name} is applied and nobody knows`),
      ...(waiting.length > 0 || isOwed ? [`I10 ${row.name} of ${file.name} stands without a block`] : []),
    ]
  }

  /** What people see in `op_state` is what the rows say. */
  #view(file: OutboxFile, states: ReadonlyMap<string, OpState[]>): string[] {
    const viewed = viewedStates(file)
    const ops = new Set([...viewed.keys(), ...states.keys()])
    return [...ops].flatMap((op_id) => {
      const [seen, said] = [viewed.get(op_id)?.join(), states.get(op_id)?.join()]
      return seen === said ? [] : [`the view says of ${this.world.name(op_id)} in ${file.name}: ${seen}, not ${said}`]
    })
  }
}
