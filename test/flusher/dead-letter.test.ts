/** Dead letters against the real service: listed, retried once it is mended, given up. */
import { describe, expect, test } from "bun:test"
import { readStatus } from "../../src/inspect/status.ts"
import type { Intent } from "../../src/handle.ts"
import { isUlid } from "../../src/intent/ulid.ts"
import type { Stream } from "../../src/stream.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { hold } from "./box.ts"
import { openPatient } from "./patient.ts"

const ids = (stream: Stream) => stream.deadLetters().map(({ op_id }) => op_id)

describe("deadLetters()", () => {
  test("says all that a person needs to decide, and the arguments only if asked", async () => {
    await using t = await openPatient("bäd")
    const recorded_at = t.box.clock.now()
    const good = t.put("good")
    const bad = t.put("bäd", { key: "note/1", dependsOn: [good] })
    t.box.clock.jump(5_000)
    await t.drained()
    const [letter, ...others] = t.stream.deadLetters()
    expect([letter, others]).toEqual([
      {
        op_id: t.id(bad),
        seq: 2,
        method: "put",
        code: "not_yet",
        message: "bäd is not taken yet",
        key: "note/1",
        depends_on: [t.id(good)],
        bytes: Buffer.byteLength('[["bäd"]]'),
        time_created: recorded_at,
        time_rejected: recorded_at + 5_000,
      },
      [],
    ])
    expect(t.stream.deadLetters({ args: true })[0]!.args).toBe('[["bäd"]]')
  })

  test("gives them oldest first, a page at a time, without those that were decided", async () => {
    await using t = await openPatient("0", "1", "2", "3", "4")
    const all = [..."01234"].map((name) => t.id(t.put(name)))
    await t.drained()
    t.stream.discard(all[1]!)
    const first = t.stream.deadLetters({ limit: 2 })
    const rest = t.stream.deadLetters({ after: first.at(-1)!.seq })
    expect([first, rest].map((page) => page.map(({ op_id }) => op_id))).toEqual([
      [all[0]!, all[2]!],
      [all[3]!, all[4]!],
    ])
    expect(t.stream.deadLetters({ after: rest.at(-1)!.seq })).toEqual([])
  })

  test("knows nothing of other streams", async () => {
    await using t = await openPatient("1")
    const other = t.box.freshRef()
    await t.box.createShare(other)
    const second = t.box.stream(t.outbox, "other", other)
    second.record({ method: "put", args: ["1"] })
    await t.drained()
    expect([t.stream.deadLetters().length, second.deadLetters().length]).toEqual([0, 1])
  })

  for (const [name, page] of Object.entries<unknown>({
    "no page": null,
    "limit 0": { limit: 0 },
    "limit 1,001": { limit: 1_001 },
    "a limit that is no number": { limit: "5" },
    "after -1": { after: -1 },
    "after a fraction": { after: 0.5 },
  }))
    test(`refuses ${name}`, async () => {
      await using t = await openPatient()
      expect(errorOf(() => t.stream.deadLetters(page as never)).code).toBe("invalid_argument")
    })
})

describe("retry()", () => {
  test("records the dead letter again under a new id, and the mended service applies it", async () => {
    await using t = await openPatient("1")
    const bad = t.put("1", { wantResult: true, schemaVersion: 3, actorId: "me", key: "k" })
    await t.drained()
    t.mend()
    t.box.clock.turn(1_000)
    const [retried, ...others] = t.stream.retry(t.id(bad))
    expect([retried!.op_id, isUlid(retried!.as_op_id), others]).toEqual([t.id(bad), true, []])
    expect([t.stream.status().dead, t.stream.status().pending, ids(t.stream)]).toEqual([0, 1, []])
    await t.drained()
    expect([t.box.effects, t.box.state(retried!.as_op_id), t.box.state(t.id(bad))]).toEqual([
      ["1"],
      ["acked"],
      ["failed"],
    ])
    const [before, after] = t.box.sent.flatMap((post) => post.batches.flatMap((batch) => batch.ops))
    expect(after).toEqual({ ...before!, op_id: retried!.as_op_id, time_created: before!.time_created + 1_000 })
  })

  test("wakes the flusher like any record", async () => {
    await using t = await openPatient("1")
    const bad = t.put("1")
    await t.drained()
    t.mend()
    t.stream.retry(t.id(bad))
    await t.box.turn(50)
    expect(t.box.effects).toEqual(["1"])
  })

  test("takes the dependents along, in their old order, each on the new one that it refers to", async () => {
    await using t = await openPatient("1")
    const one = t.put("1") as Intent<{ name: string; inner: { id: string } }>
    const two = t.stream.record({ method: "put", args: [one.inner.id] }) as Intent<{ name: string }>
    const apart = t.put("apart")
    const three = t.stream.record({
      method: "put",
      args: [{ deep: [["$ref", t.id(one), ["literal"]], two.name, one.name] }],
      dependsOn: [apart],
    })
    await t.drained()
    expect(ids(t.stream)).toEqual([one, two, three].map(t.id))
    t.mend()
    const names = new Map(t.stream.retry(t.id(one)).map(({ op_id, as_op_id }) => [op_id, as_op_id]))
    await t.drained()
    expect([...names.keys()]).toEqual([one, two, three].map(t.id))
    expect(t.box.effects).toEqual(["apart", "1", "id of 1", "[object Object]"])
    const sent = t.box.sent.at(-1)!.batches.flatMap((batch) => batch.ops)
    expect(sent.map((op) => op.depends_on)).toEqual([
      [],
      [names.get(t.id(one))!],
      [names.get(t.id(two))!, names.get(t.id(one))!, t.id(apart)],
    ])
    // What only looks like a reference stays as the host wrote it.
    expect(sent[2]!.args).toContain(`[["$ref","${t.id(one)}",[["literal"]]]]`)
    expect(sent[2]!.args).toContain(`["$ref","${names.get(t.id(two))}",["name"]]`)
  })

  test("leaves an op that depends on two dead letters until both are retried", async () => {
    await using t = await openPatient("1", "2")
    const one = t.put("1")
    const two = t.put("2")
    const both = t.put("both", { dependsOn: [one, two] })
    const after = t.put("after", { dependsOn: [both] })
    await t.drained()
    t.mend()
    const again = (intent: Intent) => t.stream.retry(t.id(intent)).map(({ op_id }) => op_id)
    expect(again(two)).toEqual([t.id(two)])
    await t.drained()
    expect(again(one)).toEqual([one, both, after].map(t.id))
    await t.drained()
    expect([t.box.effects, t.stream.status().dead]).toEqual([["2", "1", "both", "after"], 0])
  })

  test("of an op that was rejected after its dependency was retried puts it on the new one", async () => {
    await using t = await openPatient("1", "1b")
    const one = t.put("1")
    await t.drained()
    const two = t.put("2", { dependsOn: [one] })
    t.mend()
    t.stream.retry(t.id(one))
    await t.drained()
    expect([ids(t.stream), t.box.effects]).toEqual([[t.id(two)], ["1"]])
    t.stream.retry(t.id(two))
    await t.drained()
    expect(t.box.effects).toEqual(["1", "2"])
  })

  test("of a retried op that was rejected again goes on from there, with all that hangs on it", async () => {
    await using t = await openPatient("1")
    const one = t.put("1")
    t.put("2", { dependsOn: [one] })
    await t.drained()
    let at = t.id(one)
    const seen = new Set([at])
    for (let round = 0; round < 3; round++) {
      if (round === 2) t.mend()
      const retried = t.stream.retry(at)
      expect(retried.length).toBe(2)
      at = retried[0]!.as_op_id
      seen.add(at)
      await t.drained()
    }
    expect([seen.size, t.box.effects, t.stream.status().dead]).toEqual([4, ["1", "2"], 0])
  })

  test("carries hundreds of dependents, in as many batches as they take", async () => {
    await using t = await openPatient("root")
    const root = t.put("root")
    let last = root
    const names = Array.from({ length: 600 }, (_, index) => `n${index}`)
    for (const [index, name] of names.entries()) {
      const next = t.put(name, { dependsOn: index % 3 ? [last] : [root, last] })
      if (index % 5 === 0) last = next
    }
    await t.drained()
    t.mend()
    expect([t.stream.status().dead, t.stream.retry(t.id(root)).length]).toEqual([601, 601])
    await t.drained()
    expect([t.box.effects, t.stream.status().dead]).toEqual([["root", ...names], 0])
  })

  test("replaces nothing that is newer, and is replaced like any op of its key", async () => {
    await using t = await openPatient("old")
    const old = t.put("old", { key: "k" })
    await t.drained()
    t.outbox.pause()
    t.put("newer", { key: "k" })
    t.mend()
    const [retried] = t.stream.retry(t.id(old))
    expect(t.stream.status().pending).toBe(2)
    const newest = t.put("newest", { key: "k" })
    t.outbox.resume()
    await t.drained()
    expect([t.box.effects, t.box.state(retried!.as_op_id)]).toEqual([["newer", "newest"], ["superseded"]])
    expect(t.heard("superseded")).toEqual([
      { name: "superseded", stream: "s", op_id: retried!.as_op_id, by_op_id: t.id(newest) },
    ])
  })

  test("is where result() of the old op points to, while that one stays rejected", async () => {
    await using t = await openPatient("1")
    const one = t.put("1", { wantResult: true })
    await t.drained()
    const [retried] = t.stream.retry(t.id(one))
    const error = await rejectionOf(t.box.run(t.outbox.result(one)))
    expect([error.code, error.hint]).toEqual(["op_rejected", expect.stringContaining(retried!.as_op_id)])
  })

  test("while the stream is blocked is recorded, and sent later", async () => {
    await using t = await openPatient("1")
    const one = t.put("1")
    await t.drained()
    t.mend()
    t.outbox.pause()
    t.stream.retry(t.id(one))
    expect([t.stream.status().pending, t.box.effects]).toEqual([1, []])
    t.outbox.resume()
    await t.drained()
    expect(t.box.effects).toEqual(["1"])
  })

  test("is refused for what depends on a dead letter or on a discarded one: that comes first, or never", async () => {
    await using t = await openPatient("1")
    const one = t.put("1")
    const two = t.put("2", { dependsOn: [one] })
    await t.drained()
    const tooEarly = errorOf(() => t.stream.retry(t.id(two)))
    expect([tooEarly.code, tooEarly.message]).toEqual([
      "dead_letter_dependent",
      `stream s: dead letter ${t.id(two)} depends on ${t.id(one)}, which is a dead letter too: it would be rejected again; nothing was written`,
    ])
    t.stream.discard(t.id(one))
    const late = t.put("3", { dependsOn: [one] })
    await t.drained()
    expect(errorOf(() => t.stream.retry(t.id(late))).message).toContain(`${t.id(one)}, which was given up`)
    expect(ids(t.stream)).toEqual([t.id(late)])
  })
})

describe("discard()", () => {
  test("gives up the dead letter and all that hangs on it, and sends nothing", async () => {
    await using t = await openPatient("1", "4")
    const one = t.put("1")
    const two = t.put("2", { dependsOn: [one] })
    const three = t.put("3", { dependsOn: [two] })
    const four = t.put("4")
    await t.drained()
    const posts = t.box.sent.length
    expect(t.stream.discard(t.id(one))).toEqual([one, two, three].map(t.id))
    await t.box.turn(1_000)
    expect([ids(t.stream), t.stream.status().dead, t.box.sent.length]).toEqual([[t.id(four)], 1, posts])
    expect(t.box.state(t.id(two))).toEqual(["failed"])
  })

  test("takes along what hangs on it through an earlier retry", async () => {
    await using t = await openPatient("1")
    const one = t.put("1")
    await t.drained()
    const late = t.put("2", { dependsOn: [one] })
    const [again] = t.stream.retry(t.id(one))
    await t.drained()
    expect(t.stream.discard(again!.as_op_id)).toEqual([t.id(late), again!.as_op_id].toReversed())
    expect(ids(t.stream)).toEqual([])
  })

  test("is what result() says of the op from then on, with the code of the service", async () => {
    await using t = await openPatient("1")
    const one = t.put("1", { wantResult: true })
    await t.drained()
    expect((await rejectionOf(t.box.run(t.outbox.result(one)))).code).toBe("op_rejected")
    const { code } = t.stream.deadLetters()[0]!
    t.stream.discard(t.id(one))
    const error = await rejectionOf(t.box.run(t.outbox.result(one)))
    expect([error.code, error.message]).toEqual(["op_discarded", expect.stringContaining(`rejected (${code})`)])
  })

  test("works after the share was removed, where a retry is refused", async () => {
    await using t = await openPatient("1")
    const one = t.put("1")
    await t.drained()
    t.mend()
    t.stream.remove()
    await t.drained()
    expect(errorOf(() => t.stream.retry(t.id(one))).code).toBe("stream_closed")
    expect([t.stream.status().dead, t.stream.discard(t.id(one)), t.stream.status().dead]).toEqual([1, [t.id(one)], 0])
  })
})

for (const decide of ["retry", "discard"] as const)
  describe(`${decide}() is refused, and nothing is written, for`, () => {
    const refusals: Record<string, [code: string, message: RegExp]> = {
      "an op that is pending": ["dead_letter_unknown", /is pending, no dead letter/],
      "an op whose outcome is unknown": ["dead_letter_unknown", /is pending, no dead letter/],
      "an op that was applied": ["dead_letter_unknown", /is applied, no dead letter/],
      "an op that was superseded": ["dead_letter_unknown", /is superseded, no dead letter/],
      "an op that nobody knows": ["dead_letter_unknown", /is not known/],
      "a dead letter of another stream": ["dead_letter_unknown", /is a dead letter of stream other/],
      "one that was retried": ["dead_letter_decided", /was retried as [0-7]/],
      "one that was discarded": ["dead_letter_decided", /was discarded/],
      "a text that is no op_id": ["invalid_argument", /"nope" is not an op_id/],
      "an op_id in lower case": ["invalid_argument", /is not an op_id/],
      "nothing at all": ["invalid_argument", /undefined is not an op_id/],
    }
    for (const [what, [code, message]] of Object.entries(refusals))
      test(what, async () => {
        await using t = await openPatient("bad", "retried", "discarded")
        const other = t.box.freshRef()
        await t.box.createShare(other)
        const elsewhere = t.box.stream(t.outbox, "other", other).record({ method: "put", args: ["bad"] })
        const applied = t.put("applied")
        const [retried, discarded] = [t.put("retried"), t.put("discarded")]
        t.outbox.pause()
        const superseded = t.put("older", { key: "k" })
        t.put("newer", { key: "k" })
        t.outbox.resume()
        await t.drained()
        t.box.always(hold().fate)
        t.stream.retry(t.id(retried))
        t.stream.discard(t.id(discarded))
        const sent = t.put("sent")
        await t.box.turn(100)
        const pending = t.put("pending")
        const asked: Record<string, unknown> = {
          "an op that is pending": t.id(pending),
          "an op whose outcome is unknown": t.id(sent),
          "an op that was applied": t.id(applied),
          "an op that was superseded": t.id(superseded),
          "an op that nobody knows": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
          "a dead letter of another stream": t.id(elsewhere),
          "one that was retried": t.id(retried),
          "one that was discarded": t.id(discarded),
          "a text that is no op_id": "nope",
          "an op_id in lower case": t.id(discarded).toLowerCase(),
        }
        const before = content(t.box.dir.file())
        const error = errorOf(() => t.stream[decide](asked[what] as string))
        expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)])
        expect(error.message + error.hint).not.toContain("put")
        expect(content(t.box.dir.file())).toBe(before)
      })

    test("a closed outbox", async () => {
      await using t = await openPatient("1")
      const one = t.id(t.put("1"))
      await t.drained()
      await t.box.close(t.outbox)
      expect(errorOf(() => t.stream[decide](one)).code).toBe("closed")
    })
  })

function content(file: string): string {
  using db = new ScopedDatabase(file, { readonly: true })
  return JSON.stringify([
    db.query("select hex(op_id), seq from sturdy_op").all(),
    db.query("select seq, decision, time_decided from sturdy_dead_letter").all(),
    db.query("select dead_count, cursor from sturdy_stream").all(),
  ])
}

test("the events say what was retried as what, and what was discarded, after it is written", async () => {
  await using t = await openPatient("1", "3")
  const [one, three] = [t.put("1"), t.put("3")]
  const two = t.put("2", { dependsOn: [one] })
  await t.drained()
  const seen: number[] = []
  t.outbox.on("retried", () => void seen.push(t.stream.status().dead))
  const retried = t.stream.retry(t.id(one))
  t.stream.discard(t.id(three))
  expect(t.heard("retried", "discarded")).toEqual([
    ...retried.map((pair) => ({ name: "retried" as const, stream: "s", ...pair })),
    { name: "discarded", stream: "s", op_id: t.id(three) },
  ])
  expect(t.heard("recorded").at(-1)).toEqual({
    name: "recorded",
    stream: "s",
    op_ids: retried.map(({ as_op_id }) => as_op_id),
  })
  expect([seen, retried.map(({ op_id }) => op_id)]).toEqual([
    [1, 1],
    [t.id(one), t.id(two)],
  ])
})

test("status counts undecided dead letters only, for the host and for whoever looks at the file", async () => {
  await using t = await openPatient("1", "2", "3")
  const all = ["1", "2", "3"].map((name) => t.put(name))
  await t.drained()
  const dead = () => {
    using db = new ScopedDatabase(t.box.dir.file(), { readonly: true })
    return [t.stream.status().dead, readStatus(db).dead]
  }
  const counts = [dead()]
  t.stream.retry(t.id(all[0]!))
  counts.push(dead())
  t.stream.discard(t.id(all[1]!))
  counts.push(dead())
  await t.drained()
  counts.push(dead())
  expect(counts).toEqual([
    [3, 3],
    [2, 2],
    [1, 1],
    [2, 2],
  ])
})

test("another process retries while the first one flushes: it is sent once", async () => {
  await using t = await openPatient("1")
  const one = t.put("1")
  await t.drained()
  t.mend()
  const beside = t.box.openBeside()
  const other = beside.stream("s")
  other.retry(t.id(one))
  expect(errorOf(() => t.stream.retry(t.id(one))).code).toBe("dead_letter_decided")
  await t.box.run(beside.flush())
  expect(t.box.effects).toEqual(["1"])
})
