import { expect, test } from "bun:test"
import fc from "fast-check"
import { type Sealable, sealBatches } from "../../src/intent/batch.ts"
import { batch_envelope_bytes } from "../../src/intent/op.ts"

const ops = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 400 }), continues: fc.boolean() }), { maxLength: 60 })
const limits = fc.record({
  ops_max: fc.integer({ min: 1, max: 12 }),
  bytes_max: fc.integer({ min: batch_envelope_bytes + 1, max: batch_envelope_bytes + 2_000 }),
})

/** Index of the first op of each batch, and one past the last. */
function bounds(lengths: readonly number[]): number[] {
  return lengths.reduce((at, length) => [...at, at.at(-1)! + length], [0])
}

function slices<T>(items: readonly T[], lengths: readonly number[]): T[][] {
  const at = bounds(lengths)
  return lengths.map((length, i) => items.slice(at[i]!, at[i]! + length))
}

const units = (ops: readonly Sealable[]) => ops.filter((op, index) => index === 0 || !op.continues).length

test("a complete list is covered whole, in order, by batches that are not empty", () => {
  fc.assert(
    fc.property(ops, limits, (ops, limits) => {
      const lengths = sealBatches(ops, limits, true)
      expect(lengths.every((length) => length > 0)).toBe(true)
      expect(bounds(lengths).at(-1)).toBe(ops.length)
    }),
  )
})

test("a unit is never split", () => {
  fc.assert(
    fc.property(ops, limits, fc.boolean(), (ops, limits, complete) => {
      const starts = bounds(sealBatches(ops, limits, complete)).slice(1, -1)
      expect(starts.filter((start) => ops[start]!.continues)).toEqual([])
    }),
  )
})

test("a batch keeps to the limits, unless it is one unit", () => {
  fc.assert(
    fc.property(ops, limits, (ops, limits) => {
      for (const batch of slices(ops, sealBatches(ops, limits, true))) {
        const bytes = batch.reduce((sum, op) => sum + op.bytes + 1, batch_envelope_bytes)
        const fits = batch.length <= limits.ops_max && bytes <= limits.bytes_max
        expect(fits || units(batch) === 1).toBe(true)
      }
    }),
  )
})

test("a batch ends only where the next unit would not fit", () => {
  fc.assert(
    fc.property(ops, limits, (ops, limits) => {
      const lengths = sealBatches(ops, limits, true)
      const at = bounds(lengths)
      lengths.slice(0, -1).forEach((length, i) => {
        const from = at[i + 1]!
        let end = from + 1
        while (end < ops.length && ops[end]!.continues) end++
        const joined = ops.slice(at[i]!, end)
        const bytes = joined.reduce((sum, op) => sum + op.bytes + 1, batch_envelope_bytes)
        expect(joined.length > limits.ops_max || bytes > limits.bytes_max || length === 0).toBe(true)
      })
    }),
  )
})

test("the same ops make the same batches", () => {
  fc.assert(
    fc.property(ops, limits, fc.boolean(), (ops, limits, complete) => {
      expect(sealBatches(structuredClone(ops), limits, complete)).toEqual(sealBatches(ops, limits, complete))
    }),
  )
})

test("ops that come later change no batch but the last one sealed", () => {
  fc.assert(
    fc.property(ops, ops, limits, (before, after, limits) => {
      const early = sealBatches(before, limits, false).slice(0, -1)
      expect(sealBatches([...before, ...after], limits, false).slice(0, early.length)).toEqual(early)
    }),
  )
})

test("of an incomplete list the last unit is left out, since it may go on", () => {
  const op = (continues: boolean) => ({ bytes: 10, continues })
  expect(sealBatches([op(false), op(false), op(true)], { ops_max: 100, bytes_max: 1e6 }, false)).toEqual([1])
})

test("no ops make no batch", () => {
  expect(sealBatches([], { ops_max: 1, bytes_max: 1 }, true)).toEqual([])
})
