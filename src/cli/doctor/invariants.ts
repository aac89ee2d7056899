/** The invariants of the outbox, I1–I6 of ARCHITECTURE.md, as far as its file shows them; every op's checksum too. */
import type { Database } from "bun:sqlite"
import { checkInvariants, type CheckedInvariant } from "../../inspect/invariant/check.ts"
import type { Finding as Breach, RuleCode } from "../../inspect/invariant/rule.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { printable } from "../output/terminal.ts"
import { count } from "../output/words.ts"
import type { Check, Context, Observation } from "./check.ts"

/** Told of one rule; more of the same say nothing new. */
const shown_max = 5

export const invariantCheck: Check = {
  name: "invariants",
  needs: "database",
  *run({ read, progress, place }) {
    const { breaches, counts, checked } = read((db) => look(db, progress))
    for (const breach of breaches) yield observed(breach, place)
    for (const [code, found] of counts)
      if (found > shown_max)
        yield { level: "wrong", message: `and ${count(found - shown_max, "more", "more")} of ${code}`, code, found }
    if (counts.size > 0) return
    const ops = checked.find(({ invariant }) => invariant === "I1")?.what ?? ""
    const names = checked.map(({ title }) => title).join(", ")
    yield { level: "ok", message: `${names}: hold for ${ops}`, invariants: checked.map(({ invariant }) => invariant) }
  },
}

interface Looked {
  /** At most so many of each rule. */
  breaches: Breach[]
  counts: Map<RuleCode, number>
  checked: CheckedInvariant[]
}

function look(db: Database, progress: Context["progress"]): Looked {
  const looked: Looked = { breaches: [], counts: new Map(), checked: [] }
  for (const step of checkInvariants(db)) {
    if (step.kind === "progress") progress("checking every op", step.checked, step.of)
    else if (step.kind === "checked") looked.checked.push(step)
    else {
      const found = (looked.counts.get(step.code) ?? 0) + 1
      looked.counts.set(step.code, found)
      if (found <= shown_max) looked.breaches.push(step)
    }
  }
  return looked
}

function observed(breach: Breach, place: OutboxPlace): Observation {
  const { invariant, code, stream, what, seq, op_id, batch_id } = breach
  const where = stream === undefined ? "" : `stream ${printable(stream)}: `
  return {
    level: "wrong",
    message: `${invariant}: ${where}${printable(what)}`,
    ...(code === "op_damaged" ? damagedCure(place) : otherCure(place)),
    invariant,
    code,
    stream,
    seq,
    op_id,
    batch_id,
  }
}

function damagedCure(place: OutboxPlace): Pick<Observation, "cure" | "command"> {
  return {
    cure: "Check the disk. The stream stands at this op when its turn comes, and nothing false is sent. What is whole:",
    command: commandLine(place, "export"),
  }
}

function otherCure(place: OutboxPlace): Pick<Observation, "cure" | "command"> {
  return {
    cure: "Sturdy never writes this: another program, or the disk, has changed the file, or it is a bug. Keep a copy of the file and its -wal, and report it with",
    command: commandLine(place, "export", "--redact"),
  }
}
