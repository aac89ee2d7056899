import { describe, test } from "bun:test"
import { walk, type WalkFaults } from "./random-walk.ts"

/** SEED=n walks one seed alone, WALKS=n more of them. */
const from = Number(process.env.SEED ?? 1)
const walks = process.env.SEED ? 1 : Number(process.env.WALKS ?? 8)

const modes: Record<string, WalkFaults> = {
  "one outbox": {},
  "one outbox that is restored": { restore: true },
  "copies of one outbox": { copy: true },
  "one outbox and a service that is rolled back": { rollback: true },
  "one outbox whose share is removed": { remove: true },
  "one outbox whose dead letters are decided": { decide: true },
  "one outbox whose dead letters are decided, and a service that is rolled back": { decide: true, rollback: true },
  "copies and restores of one outbox, each of which decides its dead letters": {
    decide: true,
    copy: true,
    restore: true,
  },
  "copies, restores and a removal": { copy: true, restore: true, remove: true },
}

describe("after a random history everything drains, once, in order", () => {
  for (const [name, faults] of Object.entries(modes))
    test(
      name,
      async () => {
        for (let seed = from; seed < from + walks; seed++) await walk(seed, faults)
      },
      { timeout: 600_000 },
    )
})
