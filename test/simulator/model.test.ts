/**
 * Random histories of several outboxes against the real decision core, and each answer compared with the oracle's.
 * A failure prints its seed: `SEED=n` runs that walk alone.
 */
import { expect, test } from "bun:test"
import { Walk } from "./walk.ts"

const only = process.env.SEED ? [Number(process.env.SEED)] : undefined
const seeds = (from: number, count: number) => only ?? Array.from({ length: count }, (_, index) => from + index)

test("the decision core answers every batch of random histories as the oracle does", () => {
  const totals: Record<string, number> = {}
  for (const seed of seeds(1, 800)) {
    using walk = new Walk(seed)
    walk.run(80)
    for (const [what, count] of Object.entries(walk.counts)) totals[what] = (totals[what] ?? 0) + count
  }
  if (only) return
  if (process.env.TOTALS) console.log(totals)
  // Every rule was met, and often.
  const rare = ["decided", "again", "gap", "server_reset", "stale_epoch", "share_removed", "malformed", "crashed"]
  expect(rare.filter((what) => (totals[what] ?? 0) < 50)).toEqual([])
  const codes = ["poison", "dependency_missing", "dependency_rejected", "superseded", "conflicting_op"]
  expect(codes.filter((code) => (totals[code] ?? 0) < 50)).toEqual([])
}, 60_000)

test("a batch over the limit of ops is too_large whatever it was made for", () => {
  using walk = new Walk(1)
  walk.sendTooMany()
  expect(walk.counts).toEqual({ too_large: 1 })
})
