/** Form and size of a batch, and of a POST; and that nothing repeats a secret. */
import {
  batch_bytes_floor,
  batch_ops_floor,
  depends_on_max,
  op_bytes_floor,
  supersedes_max,
} from "../../intent/limit.ts"
import { opBytes } from "../../intent/op.ts"
import type { AppendBatch, GrantLimits, WireOp } from "../../wire/contract.ts"
import type { ServiceCase } from "./service-case.ts"
import type { Trial, Writer } from "./trial.ts"

/** Of a method that no service has: it is rejected, but it is decided, whatever it weighs. */
const unknown = { method: "no.such.method" }

function sized(t: Trial, bytes: number): WireOp {
  const empty = t.call(unknown, { args: '[[""]]' })
  return { ...empty, args: `[["ü${"x".repeat(bytes - opBytes(empty) - 2)}"]]` }
}

/** In UTF-8 bytes of JSON text, as the limits count. */
function sizes(batch: AppendBatch): string {
  const largest = Math.max(...batch.ops.map(opBytes))
  const bytes = Buffer.byteLength(JSON.stringify(batch))
  const ops = batch.ops.length === 1 ? "an op of" : `${batch.ops.length} ops of at most`
  return `${ops} ${largest} UTF-8 bytes, ${bytes} in all`
}

async function limitsOf(t: Trial, writer: Writer): Promise<GrantLimits> {
  return (await t.facts(writer)).limits as GrantLimits
}

async function expectTaken(t: Trial, writer: Writer, ops: WireOp[]): Promise<void> {
  const batch = t.batch(writer, ops)
  const sent = await t.append(writer, batch, sizes(batch))
  const register = { cursor: writer.cursor + ops.length, head: ops.at(-1)!.op_id }
  t.ack("limits", sent, { rejected: ops.map((op): [WireOp, undefined] => [op, undefined]), ...register })
  t.settle(writer, register)
}

/** What is no batch, each with what is wrong with it. */
function malformed(t: Trial, good: AppendBatch): [what: string, batch: unknown][] {
  const one = good.ops[0]!
  const ids = (count: number) => Array.from({ length: count }, () => t.nextId())
  const batches: [what: string, change: Record<string, unknown>][] = [
    ["ops {}", { ops: {} }],
    ["null for an op", { ops: [null] }],
    ['writer_id "short"', { writer_id: "short" }],
    ["spaces in writer_id", { writer_id: "spaces are not allowed" }],
    ['batch_id "b"', { batch_id: "b" }],
    ["expected_cursor -1", { expected_cursor: -1 }],
    ["expected_cursor 0.5", { expected_cursor: 0.5 }],
    ['expected_cursor "0", a text', { expected_cursor: "0" }],
    ['expected_head_op_id ""', { expected_head_op_id: "" }],
    ['settled_op_id "x"', { settled_op_id: "x" }],
  ]
  const ops: [what: string, change: Record<string, unknown>][] = [
    ["op_id in lower case", { op_id: one.op_id.toLowerCase() }],
    ["op_id beginning with 8, which is beyond 128 bits", { op_id: `8${one.op_id.slice(1)}` }],
    ["op_id 5", { op_id: 5 }],
    ['method ""', { method: "" }],
    ["method 7", { method: 7 }],
    ['codec "xml"', { codec: "xml" }],
    ["args [], no text", { args: [] }],
    ["depends_on null", { depends_on: null }],
    ['depends_on ["x"]', { depends_on: ["x"] }],
    [`depends_on of ${depends_on_max + 1} op_ids, over ${depends_on_max}`, { depends_on: ids(depends_on_max + 1) }],
    ['supersedes ["x"]', { supersedes: ["x"] }],
    [`supersedes of ${supersedes_max + 1} op_ids, over ${supersedes_max}`, { supersedes: ids(supersedes_max + 1) }],
    ['schema_version "1", a text', { schema_version: "1" }],
    ["actor_id 5", { actor_id: 5 }],
    ['time_created "now"', { time_created: "now" }],
  ]
  return [
    ["null for a batch", null],
    ["a text for a batch", "batch"],
    ["{} for a batch", {}],
    ...batches.map(([what, change]): [string, unknown] => [what, { ...good, ...change }]),
    ...ops.map(([what, change]): [string, unknown] => [what, { ...good, ops: [{ ...one, ...change }] }]),
  ]
}

export const formCases: readonly ServiceCase[] = [
  {
    name: "rule 1: whatever is no batch is malformed, as an answer, and changes nothing",
    needs: ["effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const good = t.batch(writer, [t.op()])
      const post = t.post()
      const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const sent = malformed(t, good).map(([what, batch]) => grant.append(batch as AppendBatch, what))
      await post.send()
      for (const one of sent) t.refused("rule1", one, "malformed")
      await t.expectRegister("rule1", writer, { cursor: 0, head: null })
      await t.expectEffects("rule1", writer.ref, [good.ops[0]!, 0])
    },
  },
  {
    name: "what is within the floors is taken: 100 ops, an op of 256 KiB, a batch of 1 MiB",
    run: async (t) => {
      const writer = await t.writer()
      await t.decide(writer, ...Array.from({ length: batch_ops_floor }, () => t.op()))
      await expectTaken(t, writer, [sized(t, op_bytes_floor)])
      const around = Buffer.byteLength(JSON.stringify(t.batch(writer, []))) + 3
      const quarters = [1, 2, 3].map(() => sized(t, op_bytes_floor))
      const rest = batch_bytes_floor - around - quarters.reduce((sum, op) => sum + opBytes(op), 0)
      await expectTaken(t, writer, [...quarters, sized(t, rest)])
    },
  },
  {
    name: "an op may name 64 superseded ones and depend on 256",
    run: async (t) => {
      const writer = await t.writer()
      const supersedes = Array.from({ length: supersedes_max }, () => t.nextId())
      await t.decide(writer, t.op({ supersedes }))
      const replaced = Array.from({ length: depends_on_max / supersedes_max }, () => supersedes).flat()
      await t.decide(writer, t.op({ depends_on: replaced }))
    },
  },
  {
    name: "rule 1: a batch over the granted ops, an op and a batch over the granted bytes is too_large, and nothing is decided",
    run: async (t) => {
      const writer = await t.writer()
      const limits = await limitsOf(t, writer)
      const { batch_ops_max, batch_bytes_max, op_bytes_max } = limits
      const parts = Math.ceil(batch_bytes_max / op_bytes_max) + 1
      const over: [name: keyof GrantLimits, ops: WireOp[]][] = [
        ["batch_ops_max", Array.from({ length: batch_ops_max + 1 }, () => t.op())],
        ["op_bytes_max", [sized(t, op_bytes_max + 1)]],
        ["batch_bytes_max", Array.from({ length: parts }, () => sized(t, Math.ceil(batch_bytes_max / (parts - 1))))],
      ]
      for (const [name, ops] of over) {
        const batch = t.batch(writer, ops)
        const sent = await t.append(writer, batch, `${sizes(batch)}, where ${name} is ${limits[name]}`)
        t.refused("rule1", sent, "too_large")
      }
      await t.expectRegister("rule1", writer, { cursor: 0, head: null })
    },
  },
  {
    name: "rule 1 before rule 2: a batch that is too large is too_large though its settled op is unknown",
    run: async (t) => {
      const writer = await t.writer()
      const { batch_ops_max } = await limitsOf(t, writer)
      const many = Array.from({ length: batch_ops_max + 1 }, () => t.op())
      const what = `${many.length} ops, where batch_ops_max is ${batch_ops_max}, and an unknown settled_op_id`
      t.refused("rule1", await t.send(writer, many, { settled_op_id: t.nextId() }, what), "too_large")
    },
  },
  {
    name: "malformed input of createShare and redeemShare is refused with a code, and the other calls of the POST are answered",
    needs: ["createShare"],
    run: async (t) => {
      const ref = await t.share()
      const post = t.post()
      const short = post.create({ ...ref, secret: "short", session_id: "conformance" })
      const without = post.create({ share_id: t.randomId(128), secret: t.randomId() })
      const writer = post.redeem({ ...ref, writer_id: "short" })
      const fine = post.redeem({ ...ref, writer_id: t.randomId(128) })
      await post.send()
      t.error("errors", short, "malformed")
      t.error("errors", without, "malformed")
      t.error("errors", writer.sent, "malformed")
      t.value("errors", fine.sent, { share_id: ref.share_id })
    },
  },
  {
    name: "no error, no refusal and no rejection repeats a secret, wherever it was put",
    run: async (t) => {
      const ref = await t.share()
      const writer_id = t.randomId(128)
      const [wrong, other] = [t.randomId(), t.randomId()]
      const post = t.post()
      const created = t.lacks("createShare")
        ? []
        : [
            post.create({ ...ref, secret: wrong, session_id: "conformance" }),
            post.create({ ...t.newRef(), secret: other }),
          ]
      post.redeem({ ...ref, secret: wrong, writer_id })
      post.redeem({ ...t.newRef(), secret: other, writer_id })
      post.redeem({ ...ref, secret: `${wrong}%`, writer_id })
      post.redeem({ ...ref, writer_id: "short" })
      const grant = post.redeem({ ...ref, writer_id })
      const batch = t.batch({ ref, writer_id, cursor: 0, head: null, settled: null }, [])
      // Where no honest answer repeats it: a method's name or a batch_id it may well name.
      const holding = t.call({ ...unknown, args: [ref.secret] }, { actor_id: ref.secret })
      grant.append({ ...batch, expected_cursor: -1, ops: [holding] })
      grant.append({ ...batch, settled_op_id: t.nextId(), ops: [holding] })
      const rejecting = grant.append({ ...batch, ops: [holding] })
      if (!t.lacks("rotateSecret")) grant.call("rotateSecret", { secret: `${wrong}%` })
      await post.send()
      // What createShare answers names the secret, as it must; here it may not answer.
      for (const sent of created) t.error("create", sent, sent === created[0] ? "share_exists" : "malformed")
      t.ack("rule3", rejecting, { rejected: [[holding, undefined]], cursor: 1, head: holding.op_id })
      t.repeatsNone(
        post,
        [ref.secret, wrong, other].map((secret) => t.secret(secret)),
      )
    },
  },
  {
    name: "an Ack and a grant repeat no secret",
    run: async (t) => {
      const writer = await t.writer()
      const post = t.post()
      const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const [op, poison] = [t.op(), t.poison()]
      const sent = grant.append(t.batch(writer, [op, poison]))
      await post.send()
      t.ack("rule3", sent, { applied: [op], rejected: [[poison, undefined]], cursor: 2, head: poison.op_id })
      t.repeatsNone(post, [t.secret(writer.ref.secret)])
    },
  },
]
