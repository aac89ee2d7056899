/** The calls of one POST: in order, each done before the next; and what the service keeps beyond its own life. */
import { registerAfter } from "../../intent/base.ts"
import { window_batches } from "../../intent/limit.ts"
import { systemClock } from "../../intent/system.ts"
import type { AppendBatch, WireOp } from "../../wire/contract.ts"
import type { Answer as ClientAnswer } from "../../wire/post.ts"
import { rpc } from "../../wire/session.ts"
import { type Answer, transportOf } from "./peer.ts"
import type { ServiceCase } from "./service-case.ts"
import { removeShare } from "./share-cases.ts"
import type { Trial, Writer } from "./trial.ts"

/** Batches of one POST, each made for the register after the one before it. */
function windowOf(t: Trial, writer: Writer, batches: WireOp[][]): AppendBatch[] {
  let { cursor, head } = writer
  return batches.map((ops) => {
    const batch = t.batch({ ...writer, cursor, head }, ops)
    const after = registerAfter({ cursor, head_op_id: head }, batch)
    cursor = after.cursor
    head = after.head_op_id
    return batch
  })
}

/** What Sturdy's client made of an answer. */
function asAnswer(got: ClientAnswer<unknown>): Answer {
  if (got.kind === "value") return got
  if (got.kind === "fault") return { kind: "fault", message: got.fault.message }
  return { kind: "error", code: got.kind === "refused" ? got.code : undefined, message: got.message, error: got }
}

const ops = (t: Trial, count: number) => Array.from({ length: count }, () => [t.op(), t.op()])

export const postCases: readonly ServiceCase[] = [
  {
    name: "createShare, redeemShare and a window of batches in one POST, as Sturdy's client sends it, are all acknowledged",
    needs: ["rpc", "createShare"],
    run: async (t) => {
      const writer = await t.writer(t.newRef())
      const batches = windowOf(t, writer, ops(t, window_batches))
      const { place, deadline_ms } = t.service
      const post = {
        service: place.service,
        headers: place.headers ?? {},
        create: { ...writer.ref, session_id: "conformance" },
        redeem: { ...writer.ref, writer_id: writer.writer_id },
        batches,
        remove: false,
      }
      const { signal } = new AbortController()
      const answer = await rpc.send(post, { transport: transportOf(place, deadline_ms), clock: systemClock, signal })
      const created = { text: "createShare", answer: asAnswer(answer.created!) }
      const grant = { text: "redeemShare", answer: asAnswer(answer.grant) }
      const appended = batches.map((batch, index) => {
        const text = `appendOps ${t.notation.batch(batch)}`
        return { text, batch, grant, answer: asAnswer(answer.appended[index]!) }
      })
      t.posted([created, grant, ...appended])
      for (const sent of [created, grant]) t.value("order", sent, {})
      for (const [index, sent] of appended.entries()) {
        const { ops } = sent.batch
        t.ack("order", sent, { applied: ops, cursor: (index + 1) * 2, head: ops.at(-1)!.op_id })
      }
    },
  },
  {
    name: "each call of a POST is done before the next one: a grant between two batches shows the register after the first",
    run: async (t) => {
      const writer = await t.writer()
      const [first, second] = windowOf(t, writer, ops(t, 2)) as [AppendBatch, AppendBatch]
      const post = t.post()
      const redeem = () => post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const before = redeem()
      const one = before.append(first)
      const between = redeem()
      const two = between.append(second)
      const after = redeem()
      await post.send()
      const registers = [
        { cursor: 2, head: first.ops.at(-1)!.op_id },
        { cursor: 4, head: second.ops.at(-1)!.op_id },
      ] as const
      t.value("order", before.sent, { cursor: 0, head_op_id: null })
      t.ack("order", one, { applied: first.ops, ...registers[0] })
      t.value("order", between.sent, { cursor: 2, head_op_id: registers[0].head })
      t.ack("order", two, { applied: second.ops, ...registers[1] })
      t.value("order", after.sent, { cursor: 4, head_op_id: registers[1].head })
    },
  },
  {
    name: "after a refused batch in the middle of a POST those behind it are gaps: nothing is decided past it",
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const batches = windowOf(t, writer, ops(t, 4))
      // Lost on the way: the third and fourth were made for what never came.
      const [first, lost, third, fourth] = batches as [AppendBatch, AppendBatch, AppendBatch, AppendBatch]
      const post = t.post()
      const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const sent = [first, { ...lost, settled_op_id: t.nextId() }, third, fourth].map((batch) => grant.append(batch))
      await post.send()
      const register = { cursor: 2, head: first.ops.at(-1)!.op_id }
      t.ack("order", sent[0]!, { applied: first.ops, ...register })
      t.refused("rule2", sent[1]!, "server_reset", register)
      t.refused("rule5", sent[2]!, "gap", register)
      t.refused("rule5", sent[3]!, "gap", register)
      const none = [...lost.ops, ...third.ops, ...fourth.ops].map((op): [WireOp, number] => [op, 0])
      await t.expectEffects("rule5", writer.ref, ...none)
    },
  },
  {
    name: "a POST that arrives twice is decided once, and one that arrives after a newer one changes nothing",
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const batches = windowOf(t, writer, ops(t, 3))
      const send = async (from: number) => {
        const post = t.post()
        const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
        const sent = batches.slice(from).map((batch) => grant.append(batch))
        await post.send()
        return sent
      }
      const last = { cursor: 6, head: batches[2]!.ops.at(-1)!.op_id }
      await send(0)
      for (const [index, sent] of (await send(0)).entries())
        t.ack("rule4", sent, { duplicates: batches[index]!.ops, ...last })
      for (const [index, sent] of (await send(1)).entries())
        t.ack("rule4", sent, { duplicates: batches[index + 1]!.ops, ...last })
      const all = batches.flatMap((batch) => batch.ops)
      await t.expectEffects("log", writer.ref, ...all.map((op): [WireOp, number] => [op, 1]))
    },
  },
  {
    name: "what was acknowledged is there after a restart: service_id, register, outcomes, and what was superseded",
    needs: ["restart", "effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const gone = t.op()
      const [op, poison] = [t.op({ supersedes: [gone.op_id] }), t.poison()]
      const first = t.batch(writer, [op, poison])
      const codes = await t.decide(writer, op, poison)
      const before = await t.facts(writer)
      await t.service.restart!()
      const after = await t.facts(writer)
      if (before.service_id !== after.service_id) t.fail("kept", "the service has another service_id after the restart")
      await t.expectRegister("kept", writer, { cursor: 2, head: poison.op_id })
      const rejected: [WireOp, string | undefined][] = [[poison, codes[poison.op_id]]]
      t.ack("kept", await t.append(writer, first), { duplicates: [op], rejected, cursor: 2, head: poison.op_id })
      const copy = await t.writer(writer.ref)
      const sent = await t.send(copy, [gone])
      t.ack("kept", sent, { rejected: [[gone, "superseded"]], cursor: 1, head: gone.op_id })
      await t.expectEffects("kept", writer.ref, [op, 1], [poison, 0], [gone, 0])
    },
  },
  {
    name: "a tombstone is there after a restart",
    needs: ["restart", "removeShare"],
    run: async (t) => {
      const { ref, writer_id } = await t.writer()
      await removeShare(t, ref)
      await t.service.restart!()
      const post = t.post()
      const { sent } = post.redeem({ ...ref, writer_id })
      await post.send()
      t.error("removed", sent, "share_removed")
    },
  },
  {
    name: "after a rollback to a backup the service says server_reset, and takes again what it lost: each op once",
    needs: ["backUp", "effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const [kept, lost, next] = [t.op(), t.op(), t.op()]
      await t.decide(writer, kept)
      const register = { cursor: writer.cursor, head: writer.head }
      const restore = await t.service.backUp!()
      await t.decide(writer, lost)
      await restore()
      t.refused("rule2", await t.send(writer, [next]), "server_reset", register)
      // As a client does: everything that it retained, made for the register that came with the refusal.
      const again = await t.send({ ...writer, ...register, settled: null }, [kept, lost, next])
      t.ack("log", again, { duplicates: [kept], applied: [lost, next], cursor: 4, head: next.op_id })
      await t.expectEffects("log", writer.ref, [kept, 1], [lost, 1], [next, 1])
    },
  },
]
