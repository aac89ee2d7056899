/** The store as plain arrays and maps, by the words of ARCHITECTURE.md alone. It shares no code with the store. */
import { createHash } from "node:crypto"

/** Of ARCHITECTURE.md: an op that lists 64 takes no more replacements. */
const supersedes_max = 64

export interface ModelOp {
  op_id: string
  key: string | undefined
  depends_on: string[]
  supersedes: string[]
  /** Ops of one unit have the same number. */
  unit: number
  alone: boolean
  state: "pending" | "frozen" | "applied" | "dead" | "superseded"
  /** The newer op, if it was superseded here and never sent. */
  by?: string
}

export interface Letter {
  decision?: "retried" | "discarded"
  as?: string
}

interface Item {
  first: string
  latest: string
  content: string
}

export interface Asked {
  key: string | undefined
  depends_on: string[]
  capture: string | undefined
  /** Set: only if it changed. */
  content: string | undefined
  onKey: string | undefined
  stale: boolean
}

export class StoreModel {
  /** In the order of the stream; what was pruned is not there any more. */
  ops: ModelOp[] = []
  captured = new Map<string, string | undefined>()
  items = new Map<string, Item>()
  /** Dead letters, decided ones too, by op_id: they outlive the op itself. */
  letters = new Map<string, Letter & { depends_on: string[]; key: string | undefined; pruned: boolean }>()
  bookmark: number | undefined
  /** What was said to go out, by batch_id. */
  sent = new Map<string, string>()
  everyId = new Set<string>()
  removed = false
  closed = false
  resets = 0
  units = 0

  get live(): ModelOp[] {
    return this.ops.filter((op) => op.state === "pending" || op.state === "frozen")
  }

  /** The op_id that stands for what was asked, if none is to be written. */
  standIn(asked: Asked): string | undefined | "fresh" {
    if (asked.capture !== undefined && this.captured.has(asked.capture)) return this.captured.get(asked.capture)
    const item = asked.key === undefined ? undefined : this.items.get(asked.key)
    if (asked.stale) return item?.latest
    return item && asked.content !== undefined && item.content === asked.content ? item.latest : "fresh"
  }

  /** `superseded`: the op that the store says was replaced; believed only where either is right. */
  record(op_id: string, asked: Asked, superseded: string | undefined): void {
    const { key, capture, content, onKey } = asked
    const standIn = this.standIn(asked)
    const known = capture !== undefined && this.captured.has(capture)
    if (standIn !== "fresh") {
      if (capture !== undefined && !known) this.captured.set(capture, standIn)
      return
    }
    const first = onKey === undefined ? undefined : this.items.get(onKey)?.first
    const depends_on = [...new Set([...asked.depends_on, ...(first ? [first] : [])])]
    if (capture !== undefined) this.captured.set(capture, op_id)
    if (key !== undefined && content !== undefined)
      this.items.set(key, { first: this.items.get(key)?.first ?? op_id, latest: op_id, content })
    const may = this.replacedBy(key, depends_on)
    const replaced = may && (this.needsNot(may) || superseded === may.op_id) ? may : undefined
    if (replaced) Object.assign(replaced, { state: "superseded", by: op_id })
    this.append(op_id, key, depends_on, replaced ? [replaced.op_id, ...replaced.supersedes] : [])
  }

  append(op_id: string, key: string | undefined, depends_on: string[], supersedes: string[] = [], unit?: number): void {
    const alone = unit === undefined
    this.everyId.add(op_id)
    this.ops.push({ op_id, key, depends_on, supersedes, alone, unit: unit ?? ++this.units, state: "pending" })
  }

  /** The op that a new one of this key replaces. */
  replacedBy(key: string | undefined, depends_on: readonly string[]): ModelOp | undefined {
    const latest = key === undefined ? undefined : this.live.findLast((op) => op.key === key)
    if (!latest || latest.state !== "pending" || !latest.alone || latest.supersedes.length >= supersedes_max) return
    const names = [latest.op_id, ...latest.supersedes]
    const needed = [...this.live.flatMap((op) => op.depends_on), ...depends_on]
    return names.some((name) => needed.includes(name)) ? undefined : latest
  }

  /**
   * No op depended on it that was then replaced itself. If one did, a process that saw it before it was replaced leaves
   * this one as it is, and one that did not see it does not: harmless, and neither is wrong.
   */
  needsNot(latest: ModelOp): boolean {
    const names = [latest.op_id, ...latest.supersedes]
    return !this.ops.some((op) => op.by !== undefined && op.depends_on.some((on) => names.includes(on)))
  }

  endKeys(prefix: string): void {
    for (const key of this.items.keys()) if (key.startsWith(prefix)) this.items.delete(key)
  }

  settle(op_id: string, outcome: "applied" | "dead" | "superseded"): void {
    const op = this.ops.find((op) => op.op_id === op_id)!
    op.state = outcome
    if (outcome === "dead") {
      const { depends_on, key } = op
      this.letters.set(op_id, { ...this.letters.get(op_id), depends_on, key, pruned: false })
    } else if (this.resets > 0) this.letters.delete(op_id)
  }

  /** What was settled and is retained is pending again. */
  reset(): void {
    this.resets += 1
    for (const op of this.ops)
      if (op.state === "applied" || op.state === "dead" || (op.state === "superseded" && !op.by)) op.state = "frozen"
    for (const [op_id, { decision, pruned }] of this.letters) if (!decision && !pruned) this.letters.delete(op_id)
  }

  /** Everything that was settled goes, but for dead letters. */
  prune(): void {
    const last = this.ops.findLastIndex((op) => op.state !== "pending" && op.state !== "frozen" && !op.by)
    if (last < 0) return
    const gone = new Set(this.ops.splice(0, last + 1).map((op) => op.op_id))
    for (const [op_id, letter] of this.letters) if (gone.has(op_id)) letter.pruned = true
    this.forgetDecided()
  }

  /** A decided letter goes with its op, unless an undecided one finds through it what stands for its dependency. */
  forgetDecided(): void {
    const needed = this.undecided().flatMap((op_id) => this.letters.get(op_id)!.depends_on)
    const forgotten = [...this.letters].filter(
      ([op_id, { decision, pruned }]) => decision && pruned && !this.namesOf(op_id).some((id) => needed.includes(id)),
    )
    for (const [op_id] of forgotten) this.letters.delete(op_id)
  }

  undecided(): string[] {
    return [...this.letters].filter(([, letter]) => !letter.decision).map(([op_id]) => op_id)
  }

  latest(op_id: string): string {
    const as = this.letters.get(op_id)?.as
    return as === undefined ? op_id : this.latest(as)
  }

  /** The op and all for which it stands by now. */
  namesOf(op_id: string): string[] {
    const names = [op_id]
    for (const name of names) for (const [old, { as }] of this.letters) if (as === name) names.push(old)
    return names
  }

  /** Dead letters on which this one still depends. */
  deadUnder(op_id: string): string[] {
    const under = this.letters.get(op_id)!.depends_on.map((on) => this.latest(on))
    return under.filter((on) => this.letters.has(on))
  }

  /** Undecided letters that hang on this one; for a retry only those that hang on nothing else that is dead. */
  hangingOn(op_id: string, alone: boolean): string[] {
    const chosen = [op_id]
    for (let before = 0; before < chosen.length;) {
      before = chosen.length
      const names = () => new Set(chosen.flatMap((id) => this.namesOf(id)))
      for (const other of this.undecided()) {
        const { depends_on } = this.letters.get(other)!
        if (chosen.includes(other) || !depends_on.some((on) => names().has(on))) continue
        const free = depends_on.every((on) => names().has(on) || !this.letters.has(this.latest(on)))
        if (!alone || free) chosen.push(other)
      }
    }
    return chosen
  }

  discard(op_id: string): string[] {
    const all = this.hangingOn(op_id, false)
    for (const one of all) {
      const letter = this.letters.get(one)!
      letter.decision = "discarded"
      if (letter.key !== undefined && this.items.get(letter.key)?.first === one) this.items.delete(letter.key)
    }
    this.forgetDecided()
    return all
  }

  retry(retried: { op_id: string; as_op_id: string }[]): void {
    for (const { op_id, as_op_id } of retried) {
      const letter = this.letters.get(op_id)!
      letter.decision = "retried"
      letter.as = as_op_id
      const item = letter.key === undefined ? undefined : this.items.get(letter.key)
      if (item?.first === op_id) item.first = as_op_id
      if (item?.latest === op_id) item.latest = as_op_id
      const depends_on = [...new Set(letter.depends_on.map((on) => this.latest(on)))]
      this.append(as_op_id, letter.key, depends_on)
    }
    this.forgetDecided()
  }

  close(): void {
    this.closed = true
    this.captured.clear()
    this.items.clear()
  }

  /** What `op_state` says of each op. */
  get words(): Record<string, string> {
    const words = {
      pending: "pending",
      frozen: "in_flight",
      applied: "acked",
      dead: "failed",
      superseded: "superseded",
    }
    const ops = this.ops.map((op): [string, string] => {
      const waits = op.state === "pending" || op.state === "frozen"
      return [op.op_id, waits && this.closed ? "discarded" : words[op.state]]
    })
    const pruned = [...this.letters].filter(([, letter]) => letter.pruned)
    return Object.fromEntries([...pruned.map(([op_id]): [string, string] => [op_id, "failed"]), ...ops])
  }

  /** What the outbox says of an op when it is asked for it by its id. */
  stateOf(op_id: string): string | undefined {
    const op = this.ops.find((op) => op.op_id === op_id)
    const waits = op?.state === "pending" || op?.state === "frozen"
    const letter = this.letters.get(op_id)
    if (letter && !waits) return letter.decision === "discarded" ? "discarded" : "dead"
    if (op && waits) return this.closed ? "discarded" : "pending"
    return op?.state
  }
}

/** First 16 bytes of SHA-256 over the fixed text, as a ULID. */
export function retryId(op_id: string, count: number): string {
  const digest = createHash("sha256").update(`sturdy/dead-letter-retry/${op_id}/${count}`).digest()
  const bits = [...digest.subarray(0, 16)].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
  return Array.from({ length: 26 }, (_, at) => alphabet[Number((bits >> BigInt(5 * (25 - at))) & 31n)]).join("")
}
