import { expect, test } from "bun:test"
import { opencodeMethods } from "../../src/service/opencode-methods.ts"
import { type Methods, Rejection } from "../../src/service/handler.ts"
import type { Ack } from "../../src/wire/contract.ts"
import { codeOf, freshId, nextId, op, openBox, said } from "./box.ts"

const methods: Methods = {
  ...opencodeMethods,
  echo: (_, value) => value,
  reject: () => {
    throw new Rejection("not_wanted", "this method always rejects")
  },
  crash: () => {
    throw new Error("SECRET of the handler")
  },
  promise: async () => {},
  rejectAfterWriting: (context) => {
    context.sql.run(`INSERT INTO note (text) VALUES ('half')`)
    throw new Rejection("too_late", "wrote, then rejected")
  },
  note: (context, text) => {
    context.sql.run(`INSERT INTO note (text) VALUES (?)`, String(text))
    return { id: context.position }
  },
}

async function setup() {
  const box = await openBox({ methods })
  box.core.sql.run(`CREATE TABLE note (text TEXT NOT NULL) STRICT`)
  box.create()
  return box
}

test("rule 3: a batch made for the register is decided and moves the register by all of its ops", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [a, b, c] = [op("echo", [1]), op("reject"), op("echo", [2])]
  expect(said(writer.send([a, b, c]))).toEqual({
    applied: [a.op_id, c.op_id],
    duplicates: [],
    rejected: [[b.op_id, "not_wanted"]],
    cursor: 3,
  })
  expect(box.redeem(box.ref.secret, writer.writer_id)).toMatchObject({ cursor: 3, head_op_id: c.op_id })
})

test("rule 1 before rule 2: a malformed batch of a writer whose settled op is unknown is malformed", async () => {
  await using box = await setup()
  expect(said(box.writer().send([], { settled_op_id: nextId() }))).toBe("malformed")
})

test("rule 1: the capability is judged before the form of the batch", async () => {
  await using box = await setup()
  const writer = box.writer()
  writer.share.removeShare()
  expect(said(writer.send([]))).toBe("share_removed")
})

test("rule 2: an unknown settled op is a server_reset that carries the register and decides nothing", async () => {
  await using box = await setup()
  const writer = box.writer()
  const first = op("echo")
  writer.append(first)
  const late = op("echo")
  expect(writer.send([late], { settled_op_id: nextId() })).toMatchObject({
    refused: "server_reset",
    cursor: 1,
    head_op_id: first.op_id,
  })
  expect(box.effects(late.op_id)).toBe(0)
})

test("rule 2 before rule 3: an unknown settled op refuses a batch made for the register", async () => {
  await using box = await setup()
  expect(said(box.writer().send([op("echo")], { settled_op_id: nextId() }))).toBe("server_reset")
})

test("rule 2 before rule 4: an unknown settled op refuses a batch whose ops are all known", async () => {
  await using box = await setup()
  const writer = box.writer()
  const a = op("echo")
  const first = writer.batch([a])
  writer.append(a)
  expect(said(writer.share.appendOps({ ...first, settled_op_id: nextId() }))).toBe("server_reset")
})

test("rule 2: a superseded and a rejected settled op are known", async () => {
  await using box = await setup()
  const writer = box.writer()
  const replaced = nextId()
  const [a, b] = [op("echo", [], { supersedes: [replaced] }), op("reject")]
  writer.append(a, b)
  writer.settled = replaced
  expect(writer.append(op("echo")).applied).toHaveLength(1)
  writer.settled = b.op_id
  expect(writer.append(op("echo")).applied).toHaveLength(1)
})

test("rule 3 before rule 4: known ops in a batch made for the register move the register", async () => {
  await using box = await setup()
  const a = op("echo")
  box.writer().append(a)
  const other = box.writer()
  expect(said(other.send([a]))).toEqual({ applied: [], duplicates: [a.op_id], rejected: [], cursor: 1 })
  expect(box.redeem(box.ref.secret, other.writer_id)).toMatchObject({ cursor: 1, head_op_id: a.op_id })
})

test("rule 4: a batch sent again gets the same outcomes and changes nothing", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [a, b, gone] = [op("echo"), op("reject"), nextId()]
  const c = op("echo", [], { supersedes: [gone] })
  const batch = writer.batch([a, b, c])
  writer.append(a, b, c)
  const last = op("echo")
  writer.append(last)
  const before = box.dir.bytes()
  const answer = writer.share.appendOps(batch)
  expect(said(answer)).toEqual({
    applied: [],
    duplicates: [a.op_id, c.op_id],
    rejected: [[b.op_id, "not_wanted"]],
    cursor: 4,
  })
  // The register as it is, not as it was after this batch.
  expect(answer).toMatchObject({ head_op_id: last.op_id })
  expect(box.dir.bytes()).toBe(before)
})

test("rule 4: an op is known as long as the share lives, however many came after it", async () => {
  await using box = await setup()
  const writer = box.writer()
  const first = op("echo")
  writer.append(first)
  for (let n = 0; n < 3; n++) writer.append(...Array.from({ length: 500 }, () => op("echo")))
  expect(box.writer().send([first])).toMatchObject({ applied: [], duplicates: [first.op_id] })
  expect(box.effects(first.op_id)).toBe(1)
})

test("rule 4 before rule 5: all ops known with a base that never was gets outcomes, one unknown op makes it a gap", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [a, b] = [op("echo"), op("echo")]
  writer.append(a, b)
  const wrong = { expected_cursor: 77, expected_head_op_id: nextId() }
  expect(said(writer.send([b, a], wrong))).toMatchObject({ duplicates: [b.op_id, a.op_id], cursor: 2 })
  const unknown = op("echo")
  expect(writer.send([a, unknown], wrong)).toMatchObject({ refused: "gap", cursor: 2, head_op_id: b.op_id })
  expect(box.effects(unknown.op_id)).toBe(0)
})

test("rule 5: the right cursor with another head is a gap, and so is the right head with another cursor", async () => {
  await using box = await setup()
  const writer = box.writer()
  writer.append(op("echo"))
  const forked = op("echo")
  expect(said(writer.send([forked], { expected_head_op_id: nextId() }))).toBe("gap")
  expect(said(writer.send([forked], { expected_cursor: 0 }))).toBe("gap")
  expect(said(writer.send([forked], { expected_cursor: 0, expected_head_op_id: null }))).toBe("gap")
  expect(said(box.writer().send([forked], { expected_cursor: 1, expected_head_op_id: nextId() }))).toBe("gap")
  expect(box.effects(forked.op_id)).toBe(0)
})

test("registers belong to writers: two writers of one share decide beside each other", async () => {
  await using box = await setup()
  const [one, two] = [box.writer(), box.writer()]
  expect([
    one.append(op("echo")).cursor,
    two.append(op("echo"), op("echo")).cursor,
    one.append(op("echo")).cursor,
  ]).toEqual([1, 2, 2])
})

test("batch_id decides nothing: the same label on other ops is another batch", async () => {
  await using box = await setup()
  const writer = box.writer()
  const batch = writer.batch([op("echo")])
  writer.share.appendOps(batch)
  const next = { ...batch, expected_cursor: 1, expected_head_op_id: batch.ops[0]!.op_id, ops: [op("echo")] }
  expect(said(writer.share.appendOps(next))).toMatchObject({ cursor: 2, duplicates: [] })
})

test("a known op with other content is a conflicting_op, and its stored outcome does not change", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [good, bad] = [op("echo", [1]), op("reject")]
  writer.append(good, bad)
  const changes = [{ method: "note" }, { args: "[[2]]" }, { depends_on: [nextId()] }, { schema_version: 2 }]
  for (const change of changes) {
    const others = [
      { ...good, ...change },
      { ...bad, ...change },
    ]
    expect(said(writer.append(...others))).toMatchObject({
      rejected: [
        [good.op_id, "conflicting_op"],
        [bad.op_id, "conflicting_op"],
      ],
    })
  }
  expect(said(writer.append(good, bad))).toMatchObject({
    duplicates: [good.op_id],
    rejected: [[bad.op_id, "not_wanted"]],
  })
  expect(box.effects(good.op_id)).toBe(1)
})

test("a known op with other actor and time is the same op", async () => {
  await using box = await setup()
  const writer = box.writer()
  const a = op("echo")
  writer.append(a)
  expect(writer.append({ ...a, actor_id: "someone", time_created: 5 }).duplicates).toEqual([a.op_id])
})

test("ops named in supersedes are never applied, also when the op that names them is rejected", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [old, older] = [op("echo"), op("echo")]
  writer.append(op("reject", [], { supersedes: [old.op_id, older.op_id] }))
  expect(said(box.writer().send([older, old]))).toEqual({
    applied: [],
    duplicates: [],
    rejected: [
      [older.op_id, "superseded"],
      [old.op_id, "superseded"],
    ],
    cursor: 2,
  })
})

test("an op that was applied before stays applied when a newer one names it in supersedes", async () => {
  await using box = await setup()
  const writer = box.writer()
  const a = op("echo")
  writer.append(a)
  writer.append(op("echo", [], { supersedes: [a.op_id] }))
  expect(writer.append(a).duplicates).toEqual([a.op_id])
})

test("dependencies: missing and rejected reject the op, applied and superseded are done, also within the batch", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [fine, poison, replaced] = [op("echo"), op("reject"), nextId()]
  const on = (op_id: string) => op("echo", [], { depends_on: [op_id] })
  const replacing = op("echo", [], { supersedes: [replaced] })
  const ops = [fine, poison, replacing, on(fine.op_id), on(poison.op_id), on(replaced), on(nextId())]
  const chained = on(ops[4]!.op_id)
  expect(said(writer.append(...ops, chained))).toMatchObject({
    applied: [fine.op_id, replacing.op_id, ops[3]!.op_id, ops[5]!.op_id],
    rejected: [
      [poison.op_id, "not_wanted"],
      [ops[4]!.op_id, "dependency_rejected"],
      [ops[6]!.op_id, "dependency_missing"],
      [chained.op_id, "dependency_rejected"],
    ],
  })
})

test("an op cannot depend on itself or on a later op of the batch", async () => {
  await using box = await setup()
  const later = op("echo")
  const [itself, early] = [op("echo"), op("echo", [], { depends_on: [later.op_id] })]
  itself.depends_on = [itself.op_id]
  expect(
    box
      .writer()
      .append(itself, early, later)
      .rejected.map(({ code }) => code),
  ).toEqual(["dependency_missing", "dependency_missing"])
})

test("unknown methods, members of Object.prototype and calls on results are rejected, and the rest goes on", async () => {
  await using box = await setup()
  const target = op("echo")
  const ops = [
    op("nothing"),
    op("constructor"),
    op("__proto__"),
    target,
    op("echo", [], { target: [target.op_id, "x"], depends_on: [target.op_id] }),
    op("echo", [], { args: "not json" }),
    op("echo", [], { args: "{}" }),
    op("echo", [], { args: `${"[".repeat(200_000)}` }),
    op("echo", [], { args: '[[["import",1]]]' }),
    op("echo"),
  ]
  const answer = box.writer().append(...ops)
  expect(answer.rejected.map(({ code }) => code)).toEqual([
    "unknown_method",
    "unknown_method",
    "unknown_method",
    "unknown_target",
    "invalid_args",
    "invalid_args",
    "invalid_args",
    "invalid_args",
  ])
  expect(answer.applied).toEqual([target.op_id, ops.at(-1)!.op_id])
})

test("a rejected op leaves nothing of what its handler wrote", async () => {
  await using box = await setup()
  const writer = box.writer()
  writer.append(op("note", ["before"]), op("rejectAfterWriting"), op("note", ["after"]))
  expect(box.core.sql.all(`SELECT text FROM note`)).toEqual([{ text: "before" }, { text: "after" }])
})

for (const bug of ["crash", "promise"])
  test(`a handler that fails by ${bug} rolls the whole batch back and tells nothing of it`, async () => {
    await using box = await setup()
    const writer = box.writer()
    const first = op("note", ["kept"])
    writer.append(first)
    const before = box.core.sql.all(`SELECT * FROM op`)
    const batch = writer.batch([op("note", ["lost"], { supersedes: [nextId()] }), op("reject"), op(bug)])
    const thrown = (() => {
      try {
        return writer.share.appendOps(batch)
      } catch (error) {
        return error
      }
    })()
    expect(thrown).toMatchObject({ code: "internal" })
    expect(JSON.stringify(thrown) + String(thrown)).not.toContain("SECRET")
    expect(box.core.sql.all(`SELECT * FROM op`)).toEqual(before)
    expect(box.core.sql.all(`SELECT text FROM note`)).toEqual([{ text: "kept" }])
    expect([box.rows("applied"), box.rows("audit")]).toEqual([1, 2])
    expect(box.redeem(box.ref.secret, writer.writer_id)).toMatchObject({ cursor: 1, head_op_id: first.op_id })
    expect(box.events.filter(({ name }) => name === "failure")).toHaveLength(1)
    expect(writer.append(batch.ops[0]!, batch.ops[1]!).applied).toHaveLength(1)
  })

test("a result that cannot be sent rolls the batch back, and the owner hears of which method", async () => {
  await using box = await openBox({ methods: { good: () => 1, odd: () => ({ at: new Map() }) } })
  box.create()
  const writer = box.writer()
  expect(() => writer.share.appendOps(writer.batch([op("good"), op("odd")]))).toThrow()
  const failures = box.events.flatMap((event) => (event.name === "failure" ? [event.error] : []))
  expect(failures.map(String)).toEqual([
    expect.stringContaining("the result of the handler of odd cannot be serialized"),
  ])
  expect((failures[0] as Error).cause).toBeInstanceOf(Error)
  expect(box.rows("applied")).toBe(0)
})

test("a handler that goes on after its promise finds its sql closed", async () => {
  const late = Promise.withResolvers<unknown>()
  await using box = await openBox({
    methods: {
      async wait(context) {
        context.sql.get(`SELECT 1`)
        await undefined
        try {
          late.resolve(context.sql.run(`DELETE FROM op`))
        } catch (error) {
          late.resolve(error)
        }
      },
    },
  })
  box.create()
  expect(codeOf(() => box.writer().append(op("wait")))).toBe("internal")
  expect(String(await late.promise)).toContain("closed")
})

test("a crash before the commit leaves nothing, a crash after it leaves everything", async () => {
  let at = ""
  const crashPoint = (name: string) => {
    if (name === at) throw new Error("killed")
  }
  await using box = await openBox({ methods })
  box.core.sql.run(`CREATE TABLE note (text TEXT NOT NULL) STRICT`)
  box.create()
  box.core.seams = { ...box.core.seams, crashPoint }
  const writer = box.writer()
  const batch = writer.batch([op("note", ["once"])])
  at = "service: before commit"
  expect(codeOf(() => writer.share.appendOps(batch))).toBe("internal")
  expect([box.rows("op"), box.rows("applied"), box.rows("writer"), box.rows("note")]).toEqual([0, 0, 0, 0])
  at = "service: after commit"
  expect(codeOf(() => writer.share.appendOps(batch))).toBe("internal")
  expect([box.rows("op"), box.rows("applied"), box.rows("writer"), box.rows("note")]).toEqual([1, 1, 1, 1])
  at = ""
  expect(said(writer.share.appendOps(batch))).toMatchObject({ duplicates: [batch.ops[0]!.op_id], cursor: 1 })
})

test("the log itself refuses a second effect of one op", async () => {
  await using box = await setup()
  box.writer().append(op("echo"))
  expect(() =>
    box.core.sql.run(`INSERT INTO op (share, op_id, position) SELECT share, op_id, position FROM op`),
  ).toThrow(/UNIQUE/)
})

test("outcomes belong to the share: another capability gets them as duplicates", async () => {
  await using box = await setup()
  const a = op("echo")
  box.writer().append(a)
  const child = box.redeem().share.attenuate({ scopes: ["append"] })
  const grant = box.redeem(child.secret)
  const answer = grant.share.appendOps(box.writer().batch([a])) as Ack
  expect(answer.duplicates).toEqual([a.op_id])
})

test("the same op_id in two shares is two ops", async () => {
  await using box = await setup()
  const a = op("echo")
  box.writer().append(a)
  const other = { share_id: freshId(128), secret: freshId() }
  box.api.createShare({ ...other, session_id: "ses_2" })
  const grant = box.api.redeemShare({ ...other, writer_id: freshId(128) })
  expect(said(grant.share.appendOps(box.writer().batch([a])))).toMatchObject({ applied: [a.op_id] })
})

test("everything is there after a restart", async () => {
  await using box = await setup()
  const writer = box.writer()
  const [a, b, gone] = [op("echo", [{ deep: [1] }], { want_result: true }), op("reject"), nextId()]
  const c = op("echo", [], { supersedes: [gone] })
  writer.append(a, b, c)
  const { service_id } = box.redeem()
  box.restart()
  const again = box.redeem(box.ref.secret, writer.writer_id)
  expect(again).toMatchObject({ service_id, cursor: 3, head_op_id: c.op_id, epoch: 1 })
  const batch = writer.batch([a, b, c, { ...op("echo"), op_id: gone }], {
    expected_cursor: 0,
    expected_head_op_id: null,
  })
  const answer = again.share.appendOps(batch) as Ack
  expect(said(answer)).toEqual({
    applied: [],
    duplicates: [a.op_id, c.op_id],
    rejected: [
      [b.op_id, "not_wanted"],
      [gone, "superseded"],
    ],
    cursor: 3,
  })
  expect(answer.results).toEqual({ [a.op_id]: '{"deep":[[1]]}' })
})

test("while another process writes, the batch is refused busy and nothing is decided", async () => {
  await using box = await setup()
  const { openShareServiceFile } = await import("../../src/service/sql-bun.ts")
  using other = openShareServiceFile(box.dir.file)
  const writer = box.writer()
  const batch = writer.batch([op("echo")])
  const busy = other.transaction(() => writer.share.appendOps(batch))
  expect(busy).toMatchObject({ refused: "busy", retry_after_ms: 250 })
  expect(said(writer.share.appendOps(batch))).toMatchObject({ applied: [batch.ops[0]!.op_id] })
})
