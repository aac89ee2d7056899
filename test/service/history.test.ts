import { expect, test } from "bun:test"
import fc from "fast-check"
import type { WireOp } from "../../src/intent/op.ts"
import { Rejection } from "../../src/service/handler.ts"
import { freshId, op, openBox } from "./box.ts"

interface Register {
  cursor: number
  head_op_id: string | null
}

/** Ops of all kinds: plain, poison, dependent on either, replacing others, failing once in a while. */
function pool(): WireOp[] {
  const plain = [op("echo"), op("echo"), op("echo")]
  const poison = op("reject")
  const depending = [plain[0]!, poison].map(({ op_id }) => op("echo", [], { depends_on: [op_id] }))
  const replacing = op("echo", [], { supersedes: [plain[1]!.op_id, depending[0]!.op_id] })
  return [...plain, poison, ...depending, replacing]
}

const step = fc.record({
  writer: fc.nat(1),
  picks: fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 4 }),
  /** The register as it is, or one of before. */
  base: fc.nat(3),
  fail: fc.boolean(),
})

test("in any history of batches every op has one final outcome, at most one effect, and registers count decisions", async () => {
  let failing: string | undefined
  await using box = await openBox({
    methods: {
      echo: (context) => {
        if (context.op_id === failing) throw new Error("once in a while")
      },
      reject: () => {
        throw new Rejection("not_wanted", "always")
      },
    },
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      // A fresh share for each history, in the same database.
      box.ref.share_id = freshId(128)
      box.create()
      const ops = pool()
      const writers = [box.writer(), box.writer()] as const
      const registers: [Register[], Register[]] = [[{ cursor: 0, head_op_id: null }], [{ cursor: 0, head_op_id: null }]]
      const final = new Map<string, string>()
      for (const { writer: which, picks, base, fail } of steps) {
        const writer = writers[which === 0 ? 0 : 1]
        const known = registers[which === 0 ? 0 : 1]
        const now = known.at(-1)!
        const expected = known.at(-1 - base) ?? now
        const picked = picks.map((pick) => ops[pick]!)
        // The last one, so that those before it are to be rolled back.
        failing = fail ? picked.at(-1)!.op_id : undefined
        const answer = (() => {
          try {
            return writer.send(picked, {
              expected_cursor: expected.cursor,
              expected_head_op_id: expected.head_op_id,
              settled_op_id: [...final.keys()].at(-1) ?? null,
            })
          } catch {
            expect(fail).toBe(true)
            return
          }
        })()
        if (!answer) continue
        if ("refused" in answer) {
          expect(answer).toMatchObject({ refused: "gap", ...now })
          continue
        }
        const outcomes = [
          ...answer.applied.map((op_id) => [op_id, "applied"] as const),
          ...answer.duplicates.map((op_id) => [op_id, "applied"] as const),
          ...answer.rejected.map(({ op_id, code }) => [op_id, code] as const),
        ]
        expect(outcomes.map(([op_id]) => op_id).toSorted()).toEqual(picked.map(({ op_id }) => op_id).toSorted())
        for (const op_id of answer.applied) expect(final.has(op_id)).toBe(false)
        for (const [op_id, outcome] of outcomes) expect(final.get(op_id) ?? outcome).toBe(outcome)
        for (const [op_id, outcome] of outcomes) final.set(op_id, outcome)
        const decided = expected.cursor === now.cursor && expected.head_op_id === now.head_op_id
        expect(answer.cursor).toBe(now.cursor + (decided ? picked.length : 0))
        if (decided) known.push({ cursor: answer.cursor, head_op_id: answer.head_op_id })
      }
      for (const { op_id } of ops) expect(box.effects(op_id)).toBe(final.get(op_id) === "applied" ? 1 : 0)
    }),
    { numRuns: 300, seed: 3 },
  )
})
