/** The suite is itself tested: each service that is wrong in one way fails the check that is there for it. */
import { describe, expect, test } from "bun:test"
import { ulidToBytes } from "../../src/intent/ulid.ts"
import type { ShareError } from "../../src/service/share-error.ts"
import { type Check, ConformanceError, eachServiceCheck } from "../../src/testing/conformance/index.ts"
import { wrongAnswers } from "./wrong-answers.ts"
import { isAck, type Planted, type Wrong, wrongSubject } from "./wrong-service.ts"

const planted: Record<string, Planted> = {
  "compares the cursor without the head": {
    wrong: {
      append: (decide, batch, { register }) => {
        const { cursor, head_op_id } = register()
        return decide(cursor === batch.expected_cursor ? { ...batch, expected_head_op_id: head_op_id } : batch)
      },
    },
    caught: [["rule 5: the right cursor with another head", "rule 5"]],
  },
  "compares the head without the cursor": {
    wrong: {
      append: (decide, batch, { register }) => {
        const { cursor, head_op_id } = register()
        return decide(head_op_id === batch.expected_head_op_id ? { ...batch, expected_cursor: cursor } : batch)
      },
    },
    caught: [["rule 5: the right head with another cursor", "rule 5"]],
  },
  "compares nothing: whatever comes is decided": {
    wrong: {
      append: (decide, batch, { register }) => {
        const { cursor, head_op_id } = register()
        return decide({ ...batch, expected_cursor: cursor, expected_head_op_id: head_op_id })
      },
    },
    caught: [
      ["rule 5: a request that comes late", "rule 5"],
      ["rule 4: a batch that is sent again", "rule 4"],
      ["after a refused batch in the middle", "rule 5"],
    ],
  },
  "does not look whether the settled op is known": {
    wrong: { append: (decide, batch) => decide({ ...batch, settled_op_id: null }) },
    caught: [
      ["rule 2: an unknown settled op", "rule 2"],
      ["rule 2 before rule 3", "rule 2"],
      ["rule 2 before rule 4", "rule 2"],
      ["rule 2 before rule 5", "rule 2"],
    ],
  },
  "takes only applied ops for settled": {
    wrong: {
      append: (decide, batch, { core, register }) => {
        const { settled_op_id } = batch
        if (settled_op_id === null || settled_op_id.length !== 26) return decide(batch)
        const applied = core.sql.get("SELECT 1 FROM applied WHERE op_id = ?", ulidToBytes(settled_op_id))
        if (applied) return decide(batch)
        const { cursor, head_op_id } = register()
        return { refused: "server_reset", message: "not applied here", cursor, head_op_id }
      },
    },
    caught: [["rule 2: a rejected and a superseded op", "rule 3"]],
  },
  "looks at the settled op before the form of the batch": {
    wrong: {
      append: (decide, batch, { knows, register }) => {
        const { settled_op_id } = batch
        if (typeof settled_op_id !== "string" || settled_op_id.length !== 26 || knows(settled_op_id))
          return decide(batch)
        const { cursor, head_op_id } = register()
        return { refused: "server_reset", message: "unknown", cursor, head_op_id }
      },
    },
    caught: [
      ["rule 1 before rule 2: a malformed batch", "rule 1"],
      ["rule 1 before rule 2: a batch that is too large", "rule 1"],
    ],
  },
  "answers what is known before it looks at the register": {
    wrong: {
      append: (decide, batch, { knows }) =>
        decide(
          batch.ops.length && batch.ops.every(({ op_id }) => op_id?.length === 26 && knows(op_id))
            ? { ...batch, expected_cursor: 999 }
            : batch,
        ),
    },
    caught: [["rule 3 before rule 4", "rule 3"]],
  },
  "says gap though every op is known": {
    wrong: {
      append: (decide, batch, { register }) => {
        const { cursor, head_op_id } = register()
        const answer = decide(batch)
        const replayed = isAck(answer) && answer.cursor !== batch.expected_cursor + batch.ops.length
        return replayed ? { refused: "gap", message: "moved", cursor, head_op_id } : answer
      },
    },
    caught: [
      ["rule 4: a batch that is sent again", "rule 4"],
      ["rule 4 before rule 5", "rule 4"],
    ],
  },
  "counts only what was applied": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        return isAck(answer) ? { ...answer, cursor: answer.cursor - answer.rejected.length } : answer
      },
    },
    caught: [["rule 3: a batch is decided op by op", "rule 3"]],
  },
  "remembers a window of op_ids instead of all": {
    wrong: {
      append: (decide, batch, { core }) => {
        const answer = decide(batch)
        core.sql.run("DELETE FROM op WHERE op_id NOT IN (SELECT op_id FROM op ORDER BY op_id DESC LIMIT 1000)")
        return answer
      },
    },
    caught: [["an op that was decided 1500 ops ago", "an op_id"]],
  },
  "takes duplicates for applied": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        if (!isAck(answer)) return answer
        return { ...answer, applied: [...answer.applied, ...answer.duplicates], duplicates: [] }
      },
    },
    caught: [["rule 4: a batch that is sent again", "rule 4"]],
  },
  "does not compare the content of a known op": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        if (!isAck(answer)) return answer
        const conflicts = answer.rejected.filter(({ code }) => code === "conflicting_op")
        const rejected = answer.rejected.filter(({ code }) => code !== "conflicting_op")
        return { ...answer, duplicates: [...answer.duplicates, ...conflicts.map(({ op_id }) => op_id)], rejected }
      },
    },
    caught: [["a known op with another content", "a known op_id"]],
  },
  "forgets what an op supersedes": {
    wrong: {
      append: (decide, batch) => decide({ ...batch, ops: batch.ops.map(({ supersedes: _supersedes, ...op }) => op) }),
    },
    caught: [
      ["ops named in supersedes", "op_ids in supersedes"],
      ["what an op superseded is superseded", "op_ids in supersedes"],
    ],
  },
  "forgets what a rejected op supersedes": {
    wrong: {
      append: (decide, batch) =>
        decide({
          ...batch,
          ops: batch.ops.map(({ supersedes = [], ...op }) => (op.method === "refuse" ? op : { ...op, supersedes })),
        }),
    },
    caught: [["ops named in supersedes", "op_ids in supersedes"]],
  },
  "ignores dependencies": {
    wrong: {
      append: (decide, batch) =>
        decide({ ...batch, ops: batch.ops.map((op) => (op.codec === "capnweb" ? { ...op, depends_on: [] } : op)) }),
    },
    caught: [
      ["dependencies: applied and superseded", "depends_on"],
      ["dependencies within one batch", "depends_on"],
    ],
  },
  "decides op by op, each in a transaction of its own": {
    wrong: {
      append: (decide, batch) => {
        if (batch.ops.at(-1)?.method === "fail") decide({ ...batch, ops: batch.ops.slice(0, 1) })
        return decide(batch)
      },
    },
    caught: [["a handler that fails unexpectedly", "effects, outcomes"]],
  },
  "answers a failed batch as if it were rejected": {
    wrong: {
      append: (decide, batch) => {
        if (batch.ops.at(-1)?.method !== "fail") return decide(batch)
        const rejected = batch.ops.map(({ op_id }) => ({ op_id, code: "internal", message: "failed" }))
        return {
          batch_id: batch.batch_id,
          cursor: batch.expected_cursor + batch.ops.length,
          head_op_id: batch.ops.at(-1)!.op_id,
          epoch: 1,
          applied: [],
          duplicates: [],
          rejected,
        }
      },
    },
    caught: [["a handler that fails unexpectedly", "effects, outcomes"]],
  },
  "keeps no result for a duplicate": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        if (!isAck(answer) || answer.applied.length) return answer
        const { results: _, ...rest } = answer
        return rest
      },
    },
    caught: [["the stored result comes again", "want_result"]],
  },
  "goes on under a grant of an earlier epoch": {
    wrong: { append: (_, batch, { again }) => again().share.appendOps(batch) },
    caught: [["a grant of an earlier epoch", "a grant is bound"]],
  },
  "leaves no tombstone": {
    wrong: {
      remove: (remove, { core, input }) => {
        const answer = remove()
        core.sql.run("UPDATE share SET share_id = share_id || ? WHERE share_id = ?", "-gone", input.share_id)
        return answer
      },
    },
    caught: [
      ["a removed share answers", "a removed share"],
      ["the tombstone holds", "a removed share"],
      ["a share that is created, redeemed and removed", "a removed share"],
    ],
  },
  "takes any secret for a share that is there": {
    wrong: { create: (create, input) => (input.secret.length > 20 ? createAnyway(create, input) : create(input)) },
    caught: [["createShare of an id that is taken", "createShare"]],
  },
  "runs the calls of a POST in another order": {
    wrong: { answer: (lines, answer) => answer(swapped(lines)) },
    caught: [["createShare, redeemShare and a window", "the calls of one POST"]],
  },
  "has another service_id, and no register, after a restart": {
    wrong: {
      restart: (core) => {
        core.service_id = "another-service"
        core.sql.run("DELETE FROM writer")
      },
    },
    caught: [["what was acknowledged is there after a restart", "what was acknowledged"]],
  },
}

function createAnyway(create: (input: never) => unknown, input: { share_id: string; secret: string }): unknown {
  try {
    return create(input as never)
  } catch (error) {
    if ((error as ShareError).code !== "share_exists") throw error
    return { id: input.share_id, url: "https://share.example", secret: input.secret }
  }
}

/** The last two calls of a long POST change places. */
function swapped(lines: string[]): string[] {
  const appends = lines.flatMap((line, index) => (line.includes('"appendOps"') ? [index] : []))
  const [one, two] = appends.slice(-2)
  if (one === undefined || two === undefined || appends.length < 8) return lines
  const call = (line: string) => line.replace(/^\["push",/, "")
  const [first, second] = [lines[one]!, lines[two]!]
  return lines.with(one, `["push",${call(second)}`).with(two, `["push",${call(first)}`)
}

/** Half of the time of the suite. */
const long = /^an op that was decided|^rule 1: a batch over the granted/

/** What fails, by name. */
async function failures(checks: Check[]): Promise<Map<string, unknown>> {
  const failed = new Map<string, unknown>()
  for (const { name, run, skip } of checks) if (!skip) await run().catch((error: unknown) => failed.set(name, error))
  return failed
}

describe("a service is caught that", () => {
  for (const [name, { wrong, caught, says = [] }] of Object.entries({ ...planted, ...wrongAnswers }))
    test(name, async () => {
      const checks = eachServiceCheck(wrongSubject(wrong))
      const failed = await failures(checks.filter(({ name }) => !long.test(name) || name.startsWith(caught[0]![0])))
      const told = caught.map(([check, law]) => {
        const [found, error] = [...failed].find(([name]) => name.startsWith(check)) ?? [`not caught by: ${check}`]
        const appealed = error instanceof ConformanceError ? error.message : String(error)
        return [found.slice(0, check.length), appealed.slice(0, law.length)]
      })
      expect(told).toEqual(caught)
      const [, first] = [...failed].find(([name]) => name.startsWith(caught[0]![0]))!
      for (const part of says) expect(String(first)).toContain(part)
      // 256 random bits: no secret is in what is printed, not even where the service repeats it.
      expect([...failed.values()].map(String).join("\n")).not.toMatch(/[A-Za-z0-9_-]{43}/)
    })
})

test("the real core behind the same wrapper fails nothing", async () => {
  expect(await failures(eachServiceCheck(wrongSubject({})))).toEqual(new Map())
})

test("a service that names writer, batch and method in what it refuses and rejects fails nothing: they are no secrets", async () => {
  const append: Wrong["append"] = (decide, batch) => {
    const answer = decide(batch)
    const what = JSON.stringify([batch.writer_id, batch.batch_id, batch.ops.map((op) => op?.method)])
    if (!isAck(answer)) return { ...answer, message: what }
    return { ...answer, rejected: answer.rejected.map((one) => ({ ...one, message: what })) }
  }
  const checks = eachServiceCheck(wrongSubject({ append })).filter(({ name }) => !long.test(name))
  expect(await failures(checks)).toEqual(new Map())
})
