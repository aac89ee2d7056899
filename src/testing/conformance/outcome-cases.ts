/** What becomes of an op, once and for the life of the share. */
import type { WireOp } from "../../wire/contract.ts"
import type { ServiceCase } from "./service-case.ts"
import type { Trial, Writer } from "./trial.ts"

/** More than any window would remember that is not a log. */
const later_batches = 25
const later_ops = 60

async function resend(t: Trial, writer: Writer, ops: WireOp[]) {
  const sent = await t.send(writer, ops)
  return { sent, register: { cursor: writer.cursor + ops.length, head: ops.at(-1)!.op_id } }
}

export const outcomeCases: readonly ServiceCase[] = [
  {
    name: `an op that was decided ${later_batches * later_ops} ops ago is still a duplicate, and a rejected one still rejected`,
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const [first, poison] = [t.op(), t.poison()]
      const codes = await t.decide(writer, first, poison)
      for (let batch = 0; batch < later_batches; batch++)
        await t.decide(writer, ...Array.from({ length: later_ops }, () => t.op()))
      const old = t.batch(writer, [first, poison], { expected_cursor: 0, expected_head_op_id: null })
      const { cursor, head } = writer
      const rejected: [WireOp, string | undefined][] = [[poison, codes[poison.op_id]]]
      t.ack("log", await t.append(writer, old), { duplicates: [first], rejected, cursor, head })
      const copy = await t.writer(writer.ref)
      const { sent, register } = await resend(t, copy, [first, poison])
      t.ack("log", sent, { duplicates: [first], rejected, ...register })
      await t.expectEffects("log", writer.ref, [first, 1], [poison, 0])
    },
  },
  {
    name: "the effect of an op is in the service's own data once, whichever ways it is sent again",
    needs: ["effects"],
    run: async (t) => {
      const writer = await t.writer()
      const [op, poison] = [t.op(), t.poison()]
      const first = t.batch(writer, [op, poison])
      await t.decide(writer, op, poison)
      await t.append(writer, first)
      await t.send(writer, [op, poison])
      await t.send(await t.writer(writer.ref), [poison, op])
      await t.send(writer, [op], { expected_cursor: 0, expected_head_op_id: null })
      await t.expectEffects("log", writer.ref, [op, 1], [poison, 0])
    },
  },
  {
    name: "a known op with another content is a conflicting_op, and its stored outcome stays",
    run: async (t) => {
      const writer = await t.writer()
      const [good, bad] = [t.op(), t.poison()]
      const codes = await t.decide(writer, good, bad)
      const changes: Partial<WireOp>[] = [
        { method: "another" },
        { args: '[["another"]]' },
        { codec: "json" },
        { depends_on: [good.op_id] },
        { schema_version: 2 },
        { target: [good.op_id, "member"] },
      ]
      for (const change of changes) {
        const others = [good, bad].map((op) => ({ ...op, ...change }))
        const { sent, register } = await resend(t, writer, others)
        t.ack("content", sent, {
          rejected: others.map((op): [WireOp, string] => [op, "conflicting_op"]),
          ...register,
        })
        t.settle(writer, register)
      }
      const { sent, register } = await resend(t, writer, [good, bad])
      t.ack("content", sent, { duplicates: [good], rejected: [[bad, codes[bad.op_id]]], ...register })
    },
  },
  {
    name: "a known op with another actor and time is the same op: they are no part of its content",
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      await t.decide(writer, op)
      const other = { ...op, actor_id: "somebody", time_created: 5 }
      const { sent, register } = await resend(t, writer, [other])
      t.ack("content", sent, { duplicates: [other], ...register })
    },
  },
  {
    name: "ops named in supersedes are never applied, also when the op that names them was rejected",
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const [old, older, oldest] = [t.op(), t.op(), t.op()]
      await t.decide(writer, t.poison({ supersedes: [old.op_id, older.op_id] }), t.op({ supersedes: [oldest.op_id] }))
      const copy = await t.writer(writer.ref)
      const ops = [oldest, older, old]
      const rejected = ops.map((op): [WireOp, string] => [op, "superseded"])
      // Rule 4 first, then rule 3: the copy's register is its own.
      const known = await t.send(copy, ops, { expected_cursor: 9 })
      t.ack("supersedes", known, { rejected, cursor: 0, head: old.op_id })
      const { sent, register } = await resend(t, copy, ops)
      t.ack("supersedes", sent, { rejected, ...register })
      await t.expectEffects("supersedes", writer.ref, [old, 0], [older, 0], [oldest, 0])
    },
  },
  {
    name: "an op that was applied stays applied when a newer one names it in supersedes",
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      await t.decide(writer, op)
      await t.decide(writer, t.op({ supersedes: [op.op_id] }))
      const { sent, register } = await resend(t, writer, [op])
      t.ack("supersedes", sent, { duplicates: [op], ...register })
    },
  },
  {
    name: "what an op superseded is superseded for an older copy within the same batch too",
    run: async (t) => {
      const writer = await t.writer()
      const old = t.op()
      const newer = t.op({ supersedes: [old.op_id] })
      const { sent, register } = await resend(t, writer, [newer, old])
      t.ack("supersedes", sent, { applied: [newer], rejected: [[old, "superseded"]], ...register })
    },
  },
  {
    name: "dependencies: applied and superseded ones are done; rejected and missing ones reject the op with their code",
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const on = (...depends_on: string[]) => t.op({ depends_on })
      const [fine, poison, replaced] = [t.op(), t.poison(), t.nextId()]
      await t.decide(writer, fine, poison, t.op({ supersedes: [replaced] }))
      const applied = [on(fine.op_id), on(replaced), on(fine.op_id, replaced)]
      const dead = on(poison.op_id, fine.op_id)
      const missing = on(fine.op_id, t.nextId())
      const chained = on(dead.op_id)
      const { sent, register } = await resend(t, writer, [...applied, dead, missing, chained])
      t.ack("depends", sent, {
        applied,
        rejected: [
          [dead, "dependency_rejected"],
          [missing, "dependency_missing"],
          [chained, "dependency_rejected"],
        ],
        ...register,
      })
      await t.expectEffects("depends", writer.ref, [dead, 0], [missing, 0], [chained, 0])
    },
  },
  {
    name: "dependencies within one batch are decided in order, and an op depends neither on itself nor on a later one",
    run: async (t) => {
      const writer = await t.writer()
      const [first, poison, later] = [t.op(), t.poison(), t.op()]
      const [fine, dead, early, itself] = [
        t.op({ depends_on: [first.op_id] }),
        t.op({ depends_on: [poison.op_id] }),
        t.op({ depends_on: [later.op_id] }),
        t.op(),
      ] as const
      itself.depends_on = [itself.op_id]
      const { sent, register } = await resend(t, writer, [first, poison, fine, dead, early, itself, later])
      t.ack("depends", sent, {
        applied: [first, fine, later],
        rejected: [
          [poison, undefined],
          [dead, "dependency_rejected"],
          [early, "dependency_missing"],
          [itself, "dependency_missing"],
        ],
        ...register,
      })
    },
  },
  {
    name: "a method that the service does not have rejects its op, and the batch goes on",
    run: async (t) => {
      const writer = await t.writer()
      const unknown = ["no.such.method", "constructor", "__proto__"].map((method) => t.call({ method }))
      const last = t.op()
      const { sent, register } = await resend(t, writer, [...unknown, last])
      const rejected = unknown.map((op): [WireOp, undefined] => [op, undefined])
      t.ack("depends", sent, { applied: [last], rejected, ...register })
    },
  },
  {
    name: "args in the json codec are taken as those of capnweb are",
    run: async (t) => {
      const writer = await t.writer()
      const { args = [] } = t.service.methods.applied
      await t.decide(writer, t.op({ codec: "json", args: JSON.stringify(args) }))
    },
  },
  {
    name: "the same op_id in two shares is two ops",
    run: async (t) => {
      const op = t.op()
      await t.decide(await t.writer(), op)
      await t.decide(await t.writer(), op)
    },
  },
  {
    name: "a handler that fails unexpectedly rolls the whole batch back: an error, no Ack, and nothing of it is known",
    needs: ["failing", "effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      await t.decide(writer, t.op())
      const before = { cursor: writer.cursor, head: writer.head }
      const [fine, poison, replaced] = [t.op(), t.poison(), t.op()]
      fine.supersedes = [replaced.op_id]
      const failed = await t.send(writer, [fine, poison, t.call(t.service.methods.failing!)])
      if (failed.answer.kind === "value") t.fail("atomic", `answered ${t.notation.answer(failed.answer)}, not an error`)
      await t.expectRegister("atomic", writer, before)
      await t.expectEffects("atomic", writer.ref, [fine, 0])
      // Decided now, for the first time: also what the batch would have superseded.
      delete fine.supersedes
      await t.decide(writer, replaced, poison, fine)
      await t.expectEffects("atomic", writer.ref, [fine, 1], [replaced, 1])
    },
  },
]
