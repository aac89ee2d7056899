/** Results, and references to them: with a method that returns its first argument. */
import { decodeValue, encodeArgs } from "../../intent/codec.ts"
import type { WireOp } from "../../wire/contract.ts"
import type { ServiceCase } from "./service-case.ts"
import { expectShared } from "./share-cases.ts"
import type { Sent } from "./trial-post.ts"
import type { Trial, Writer } from "./trial.ts"

const value = { id: "note", list: [1, { deep: "x" }] }

function echo(t: Trial, what: unknown, more: Partial<WireOp> = {}): WireOp {
  return t.call({ method: t.service.methods.echo!, args: [what] }, { want_result: true, ...more })
}

function echoRef(t: Trial, of: WireOp, path: string[], depends_on = [of.op_id]): WireOp {
  const asReference = (value: object) => (value === of ? { op_id: of.op_id, path } : undefined)
  return echo(t, undefined, { args: encodeArgs([of], asReference).text, depends_on })
}

function expectResults(t: Trial, sent: Sent, ...wanted: [op: WireOp, value: unknown][]): void {
  const { results = {} } = (sent.answer as { value: { results?: Record<string, string> } }).value
  const got = Object.entries(results).map(([op_id, text]) => [t.notation.op(op_id), decodeValue(text)])
  const due = wanted.map(([op, value]) => [t.notation.op(op.op_id), value])
  if (JSON.stringify(got.toSorted()) !== JSON.stringify(due.toSorted()))
    t.fail("results", `the results should be ${JSON.stringify(due)}, they are ${JSON.stringify(got)}`)
}

async function decideWanting(t: Trial, writer: Writer, ...ops: WireOp[]): Promise<Sent> {
  const sent = await t.send(writer, ops)
  const register = { cursor: writer.cursor + ops.length, head: ops.at(-1)!.op_id }
  t.ack("rule3", sent, { applied: ops, ...register })
  t.settle(writer, register)
  return sent
}

export const resultCases: readonly ServiceCase[] = [
  {
    name: "the result of an op comes with the Ack if it is wanted, and only then",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const { want_result: _, ...unwanted } = echo(t, "unwanted")
      const wanted = echo(t, value)
      expectResults(t, await decideWanting(t, writer, wanted, unwanted), [wanted, value])
    },
  },
  {
    name: "the stored result comes again with every later answer, by rule 3 and by rule 4",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const op = echo(t, value)
      const first = t.batch(writer, [op])
      await decideWanting(t, writer, op)
      const known = await t.append(writer, { ...first, expected_cursor: 9 })
      t.ack("rule4", known, { duplicates: [op], cursor: 1, head: op.op_id })
      expectResults(t, known, [op, value])
      const again = await t.send(writer, [op])
      t.ack("rule3", again, { duplicates: [op], cursor: 2, head: op.op_id })
      expectResults(t, again, [op, value])
    },
  },
  {
    name: "a result that nobody wanted at first is sent when it is wanted later",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const { want_result: _, ...op } = echo(t, value)
      await decideWanting(t, writer, op)
      const again = { ...op, want_result: true as const }
      expectResults(t, await t.send(writer, [again]), [op, value])
    },
  },
  {
    name: "a reference is replaced by the result, or by what its path names, in the same batch and later",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const made = echo(t, value)
      const deep = ["list", "1", "deep"]
      const [whole, part] = [echoRef(t, made, []), echoRef(t, made, deep)]
      expectResults(t, await decideWanting(t, writer, made, whole, part), [made, value], [whole, value], [part, "x"])
      const later = echoRef(t, made, deep)
      expectResults(t, await decideWanting(t, writer, later), [later, "x"])
    },
  },
  {
    name: "readShare shows the args of an op as they were sent, and in place of a reference what it names",
    needs: ["echo", "readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const made = echo(t, value)
      const user = echoRef(t, made, ["list", "1"])
      await decideWanting(t, writer, made, user)
      const replaced = { ...user, args: encodeArgs([{ deep: "x" }]).text }
      expectShared(t, await t.read(writer.ref), [made, replaced])
    },
  },
  {
    name: "a path that is not there is reference_missing, an op that is not in depends_on reference_undeclared",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const made = echo(t, value)
      await decideWanting(t, writer, made)
      const [missing, inherited, undeclared] = [
        echoRef(t, made, ["nothing"]),
        echoRef(t, made, ["toString"]),
        echoRef(t, made, ["id"], []),
      ] as const
      const sent = await t.send(writer, [missing, inherited, undeclared])
      t.ack("references", sent, {
        rejected: [
          [missing, "reference_missing"],
          [inherited, "reference_missing"],
          [undeclared, "reference_undeclared"],
        ],
        cursor: 4,
        head: undeclared.op_id,
      })
    },
  },
  {
    name: "a reference to the result of a superseded op is dependency_rejected, though the op counts as done",
    needs: ["echo"],
    run: async (t) => {
      const writer = await t.writer()
      const replaced = echo(t, value)
      const [newer, user] = [echo(t, 1, { supersedes: [replaced.op_id] }), echoRef(t, replaced, ["id"])]
      const sent = await t.send(writer, [newer, user])
      const rejected: [WireOp, string][] = [[user, "dependency_rejected"]]
      t.ack("references", sent, { applied: [newer], rejected, cursor: 2, head: user.op_id })
    },
  },
]
