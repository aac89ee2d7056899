/** The five rules by which a batch is decided: each alone, and for each pair that can fit at once, that the first wins. */
import type { ServiceCase } from "./service-case.ts"
import type { Trial, Writer } from "./trial.ts"

const start = { cursor: 0, head: null }
const now = ({ cursor, head }: Writer) => ({ cursor, head })

/** A writer that has said a, b, and c, of which b was rejected. */
async function underway(t: Trial) {
  const writer = await t.writer()
  const [a, b, c] = [t.op(), t.poison(), t.op()] as const
  const first = t.batch(writer, [a, b, c])
  const codes = await t.decide(writer, a, b, c)
  return { writer, a, b, c, first, code: codes[b.op_id] }
}

export const ruleCases: readonly ServiceCase[] = [
  {
    name: "rule 1: an empty batch, and one with an op_id twice, is malformed",
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      t.refused("rule1", await t.send(writer, []), "malformed")
      t.refused("rule1", await t.send(writer, [op, op]), "malformed")
      await t.expectRegister("rule1", writer, start)
    },
  },
  {
    name: "rule 1: a dead capability is refused before the form of the batch is looked at",
    needs: ["removeShare"],
    run: async (t) => {
      const { ref, writer_id } = await t.writer()
      const post = t.post()
      const grant = post.redeem({ ...ref, writer_id })
      grant.call("removeShare")
      const sent = grant.append(t.batch({ ref, writer_id, ...start, settled: null }, []))
      await post.send()
      t.refused("rule1", sent, "share_removed")
    },
  },
  {
    name: "rule 1 before rule 2: a removed share answers share_removed though it does not know the settled op",
    needs: ["removeShare"],
    run: async (t) => {
      const { writer } = await underway(t)
      const post = t.post()
      const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      grant.call("removeShare")
      const sent = grant.append(t.batch(writer, [t.op()]))
      await post.send()
      t.refused("rule1", sent, "share_removed")
    },
  },
  {
    name: "rule 1 before rule 2: a malformed batch is malformed though its settled op is unknown",
    run: async (t) => {
      const writer = await t.writer()
      t.refused("rule1", await t.send(writer, [], { settled_op_id: t.nextId() }), "malformed")
    },
  },
  {
    name: "rule 1 before rule 3: a malformed batch that was made for the register is not decided in part",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer } = await underway(t)
      const [fine, twice] = [t.op(), t.op()]
      t.refused("rule1", await t.send(writer, [fine, twice, twice]), "malformed")
      await t.expectEffects("rule1", writer.ref, [fine, 0], [twice, 0])
      await t.expectRegister("rule1", writer, now(writer))
    },
  },
  {
    name: "rule 1 before rule 4: a batch with a known op_id twice is malformed",
    run: async (t) => {
      const { writer, a } = await underway(t)
      t.refused("rule1", await t.send(writer, [a, a], { expected_cursor: 77 }), "malformed")
    },
  },
  {
    name: "rule 2: an unknown settled op is a server_reset with the register, and nothing is decided",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer } = await underway(t)
      const late = t.op()
      const sent = await t.send(writer, [late], { settled_op_id: t.nextId() })
      t.refused("rule2", sent, "server_reset", now(writer))
      await t.expectEffects("rule2", writer.ref, [late, 0])
      await t.expectRegister("rule2", writer, now(writer))
    },
  },
  {
    name: "rule 2: a writer that the share never saw is a server_reset with the register (0, null)",
    run: async (t) => {
      const sent = await t.send(await t.writer(), [t.op()], { settled_op_id: t.nextId() })
      t.refused("rule2", sent, "server_reset", start)
    },
  },
  {
    name: "rule 2: a rejected and a superseded op are known as settled",
    run: async (t) => {
      const { writer, b } = await underway(t)
      const replaced = t.nextId()
      writer.settled = b.op_id
      await t.decide(writer, t.op({ supersedes: [replaced] }))
      writer.settled = replaced
      await t.decide(writer, t.op())
    },
  },
  {
    name: "rule 2 before rule 3: an unknown settled op refuses a batch that was made for the register",
    run: async (t) => {
      const { writer } = await underway(t)
      t.refused("rule2", await t.send(writer, [t.op()], { settled_op_id: t.nextId() }), "server_reset", now(writer))
    },
  },
  {
    name: "rule 2 before rule 4: an unknown settled op refuses a batch whose ops are all known",
    run: async (t) => {
      const { writer, first } = await underway(t)
      const sent = await t.append(writer, { ...first, settled_op_id: t.nextId() })
      t.refused("rule2", sent, "server_reset", now(writer))
    },
  },
  {
    name: "rule 2 before rule 5: an unknown settled op of a batch made for another register is no gap",
    run: async (t) => {
      const { writer } = await underway(t)
      const sent = await t.send(writer, [t.op()], { settled_op_id: t.nextId(), expected_cursor: 77 })
      t.refused("rule2", sent, "server_reset", now(writer))
    },
  },
  {
    name: "rule 3: a batch is decided op by op, and the register moves by all of its ops, the rejected ones too",
    run: async (t) => {
      const { writer, c } = await underway(t)
      await t.expectRegister("rule3", writer, { cursor: 3, head: c.op_id })
      const poison = t.poison()
      await t.decide(writer, poison)
      await t.expectRegister("rule3", writer, { cursor: 4, head: poison.op_id })
    },
  },
  {
    name: "rule 3: registers belong to writers, and two writers of one share go on beside each other",
    run: async (t) => {
      const one = await t.writer()
      const two = await t.writer(one.ref)
      await t.decide(one, t.op(), t.op())
      await t.decide(two, t.op())
      await t.decide(one, t.op())
      await t.expectRegister("rule3", one, { cursor: 3, head: one.head })
      await t.expectRegister("rule3", two, { cursor: 1, head: two.head })
    },
  },
  {
    name: "rule 3: batch_id is a label, so the same one on other ops is another batch",
    run: async (t) => {
      const { writer, first } = await underway(t)
      const next = t.op()
      const sent = await t.send(writer, [next], { batch_id: first.batch_id })
      t.ack("rule3", sent, { applied: [next], cursor: 4, head: next.op_id })
    },
  },
  {
    name: "rule 3 before rule 4: known ops in a batch that was made for the register move it",
    run: async (t) => {
      const { writer, a, c } = await underway(t)
      const other = await t.writer(writer.ref)
      const sent = await t.send(other, [c, a])
      t.ack("rule3", sent, { duplicates: [c, a], cursor: 2, head: a.op_id })
      await t.expectRegister("rule3", other, { cursor: 2, head: a.op_id })
    },
  },
  {
    name: "rule 4: a batch that is sent again gets the stored outcomes, and nothing changes",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer, a, b, c, first, code } = await underway(t)
      await t.decide(writer, t.op())
      const again = await t.append(writer, first)
      t.ack("rule4", again, { duplicates: [a, c], rejected: [[b, code]], ...now(writer) })
      await t.expectRegister("rule4", writer, now(writer))
      await t.expectEffects("rule4", writer.ref, [a, 1], [b, 0], [c, 1])
    },
  },
  {
    name: "rule 4 before rule 5: ops that are all known are answered whatever register the batch was made for",
    run: async (t) => {
      const { writer, a, c } = await underway(t)
      const never = { expected_cursor: 77, expected_head_op_id: t.nextId() }
      const sent = await t.send(writer, [c, a], never)
      t.ack("rule4", sent, { duplicates: [c, a], ...now(writer) })
    },
  },
  {
    name: "rule 5 where rule 4 does not fit: one unknown op among known ones is a gap, and is not decided",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer, a } = await underway(t)
      const unknown = t.op()
      const sent = await t.send(writer, [a, unknown], { expected_cursor: 0, expected_head_op_id: null })
      t.refused("rule5", sent, "gap", now(writer))
      await t.expectEffects("rule5", writer.ref, [a, 1], [unknown, 0])
    },
  },
  {
    name: "rule 5: the right cursor with another head is a gap: a copy of the outbox that went another way",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer, a } = await underway(t)
      const forked = t.op()
      t.refused("rule5", await t.send(writer, [forked], { expected_head_op_id: a.op_id }), "gap", now(writer))
      t.refused("rule5", await t.send(writer, [forked], { expected_head_op_id: null }), "gap", now(writer))
      await t.expectEffects("rule5", writer.ref, [forked, 0])
    },
  },
  {
    name: "rule 5: the right head with another cursor is a gap",
    run: async (t) => {
      const { writer } = await underway(t)
      for (const expected_cursor of [0, 2, 4])
        t.refused("rule5", await t.send(writer, [t.op()], { expected_cursor }), "gap", now(writer))
    },
  },
  {
    name: "rule 5: a request that comes late, and one made for a register that never was, change nothing",
    needs: ["effects or readShare"],
    run: async (t) => {
      const { writer } = await underway(t)
      const [late, ahead] = [t.op(), t.op()]
      const begun = { expected_cursor: 0, expected_head_op_id: null, settled_op_id: null }
      t.refused("rule5", await t.send(writer, [late], begun), "gap", now(writer))
      const fresh = await t.writer(writer.ref)
      const never = { expected_cursor: 3, expected_head_op_id: writer.head }
      t.refused("rule5", await t.send(fresh, [ahead], never), "gap", start)
      await t.expectEffects("rule5", writer.ref, [late, 0], [ahead, 0])
      await t.expectRegister("rule5", writer, now(writer))
    },
  },
]
