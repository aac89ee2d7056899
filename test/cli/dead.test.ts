import { describe, expect, test } from "bun:test"
import { type CliBox, openCliBox } from "./box.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson } from "./run.ts"

/** `plan` is refused, with a tag on it and a tag of a tag; `list` is refused alone. Their op_ids. */
async function refusedNotes(box: CliBox): Promise<Record<"plan" | "tag" | "list", string>> {
  box.refused.add("plan").add("list")
  const ids = { plan: "", tag: "", list: "" }
  await box.host((outbox, notes) => {
    const plan = notes.record<{ id: string }>({ method: "create", args: [{ title: "plan" }], wantResult: true })
    const tag = notes.record({ method: "tag", args: [plan.id, "work"], key: "tag/1" })
    notes.record({ method: "tag", args: ["x", "y"], dependsOn: [tag] })
    const list = notes.record({ method: "create", args: [{ title: "list" }] })
    Object.assign(ids, { plan: outbox.opId(plan), tag: outbox.opId(tag), list: outbox.opId(list) })
  })
  return ids
}

const lines = (out: string) => out.trimEnd().split("\n")

describe("dead list", () => {
  test("draws what was refused because of what, and ends with 3", async () => {
    await using box = await openCliBox()
    const { plan, tag, list } = await refusedNotes(box)
    const { code, out, err } = await box.run("dead", "list")
    expect(code).toBe(3)
    const [title, ...rows] = lines(out)
    expect(title).toMatch(/OP +STREAM +PLACE +METHOD +REJECTED +WHY$/)
    expect(rows.map((row) => row.slice(0, 29).trimEnd())).toEqual([
      `○  ${plan}`,
      `●  ${tag}`,
      expect.stringMatching(/^● {2}\w{26}$/),
      `○  ${list}`,
    ])
    expect(rows[0]).toContain('title_taken: there is a note "plan"')
    expect(rows[1]).toContain("dependency_rejected")
    expect(err).toContain(`sturdy dead retry ${plan} --db ${box.file}`)
  })

  test("alone, `dead` is `dead list`; without dead letters it ends with 0", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "fine" }] }))
    expect(await box.run("dead")).toEqual({ code: 0, out: "", err: "no dead letters\n" })
  })

  test("--code, --stream and --limit choose; --all shows what was decided", async () => {
    await using box = await openCliBox()
    const { list } = await refusedNotes(box)
    const taken = await box.run("dead", "list", "--code", "title_taken", "--json")
    expect(lines(taken.out).map((line) => JSON.parse(line).code)).toEqual(["title_taken", "title_taken"])
    const first = await box.run("dead", "list", "--limit", "1", "--json")
    const after = /--after (\d+)/.exec(first.err)![1]!
    expect(lines((await box.run("dead", "list", "--after", after, "--json")).out)).toHaveLength(3)
    await box.run("dead", "discard", list, "--yes")
    expect(lines((await box.run("dead", "list", "--json")).out)).toHaveLength(3)
    const all = lines((await box.run("dead", "list", "--all", "--json")).out).map((line) => JSON.parse(line))
    expect(all.map(({ decision }) => decision)).toEqual([null, null, null, "discarded"])
  })

  test("--stream takes a pattern", async () => {
    await using box = await openCliBox()
    await refusedNotes(box)
    const listed = async (pattern: string) => (await box.run("dead", "list", "--stream", pattern, "--json")).out
    expect(lines(await listed("n*s"))).toHaveLength(4)
    expect(await listed("x*")).toBe("")
  })

  test("a stream that is not there is refused, with what was meant", async () => {
    await using box = await openCliBox()
    await refusedNotes(box)
    const ran = await box.run("dead", "list", "--stream", "note")
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("Did you mean notes?")
  })
})

describe("dead show", () => {
  test("of an id with a wrong letter names the nearest ops, also where batches are as near", async () => {
    await using box = await openCliBox()
    const { plan } = await refusedNotes(box)
    for (const title of ["one", "two", "three"])
      await box.host((_, notes) => notes.record({ method: "create", args: [{ title }] }))
    const { err } = await box.run("dead", "show", `${plan.slice(0, 7)}Z`)
    expect(err).toMatch(/Nearest: \w{26} \(\w+, notes #\d\); /)
    expect(err).not.toContain("batch")
  })

  test("says why, what hangs on it, and what can be done", async () => {
    await using box = await openCliBox()
    const { plan, tag } = await refusedNotes(box)
    const { code, out } = await box.run("dead", "show", plan)
    expect(code).toBe(0)
    expect(out).toContain('title_taken, there is a note "plan"')
    expect(out).toContain(`needed by  ${tag}`)
    expect(out).toContain("a retry records 3 ops, a discard gives 3 ops up")
  })

  test("refuses an op that is no dead letter", async () => {
    await using box = await openCliBox()
    let id = ""
    await box.host((outbox, notes) => {
      id = outbox.opId(notes.record({ method: "create", args: [{ title: "fine" }] }))
    })
    const ran = await box.run("dead", "show", id)
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("is acked, no dead letter")])
    expectOneLine(ran)
  })
})

describe("dead retry", () => {
  test("--all goes on behind those of a share that was removed, and says that they are left", async () => {
    await using box = await openCliBox()
    box.refused.add("gone").add("plan")
    await box.host(async (outbox, notes) => {
      const gone = outbox.stream("gone", outbox.newRef(box.endpoint), { create: { session_id: "gone" } })
      notes.record({ method: "create", args: [{ title: "plan" }] })
      gone.record({ method: "create", args: [{ title: "gone" }] })
      await outbox.flush()
      notes.remove()
      gone.record({ method: "create", args: [{ title: "gone" }] })
    })
    const { code, out, err } = await box.run("dead", "retry", "--all")
    expect([code, lines(out).length]).toEqual([3, 2])
    expect(err).toContain("left: ")
    expect(err).toContain("2 ops recorded again")
  })

  test("records it again with what hangs on it, and a flush sends it", async () => {
    await using box = await openCliBox()
    const { plan } = await refusedNotes(box)
    box.refused.clear()
    const { code, out } = await box.run("dead", "retry", plan, "--json")
    expect(code).toBe(0)
    const told = lines(out).map((line) => JSON.parse(line))
    expect(told).toHaveLength(3)
    expect(told[0]).toEqual({
      version: 1,
      stream: "notes",
      op_id: plan,
      retried_op_id: expect.stringMatching(/^\w{26}$/),
    })
    expect(box.applied).toEqual([])
    expect((await box.run("flush")).code).toBe(0)
    expect(box.applied).toEqual(["plan", "plan#work", "x#y"])
  })

  test("--all records all again, each once", async () => {
    await using box = await openCliBox()
    await refusedNotes(box)
    box.refused.clear()
    const { code, out } = await box.run("dead", "retry", "--all")
    expect([code, lines(out).length]).toEqual([0, 4])
    expect((await box.run("flush")).code).toBe(0)
    expect(box.applied).toEqual(["plan", "plan#work", "x#y", "list"])
    expect((await box.run("dead", "retry", "--all")).err).toBe("no dead letters\n")
  })

  test("refuses one that depends on another dead letter, and says which", async () => {
    await using box = await openCliBox()
    const { plan, tag } = await refusedNotes(box)
    const ran = await box.run("dead", "retry", tag)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain(plan)
  })

  test("says how one was decided before", async () => {
    await using box = await openCliBox()
    const { list } = await refusedNotes(box)
    await box.run("dead", "retry", list)
    const ran = await box.run("dead", "retry", list)
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining(`${list} was retried as`)])
  })
})

describe("dead discard", () => {
  test("gives up what hangs on it too, and nothing reaches the service", async () => {
    await using box = await openCliBox()
    const { plan } = await refusedNotes(box)
    const { code, out } = await box.run("dead", "discard", plan, "--yes")
    expect([code, lines(out).length]).toEqual([0, 3])
    expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ pending: 0, dead: 1 })
    expect(box.applied).toEqual([])
  })

  test("where nobody can be asked it gives up nothing without --yes, and says how much it would be", async () => {
    await using box = await openCliBox()
    const { plan } = await refusedNotes(box)
    const { code, err } = await box.run("dead", "discard", plan)
    expect([code, err]).toEqual([2, expect.stringContaining("1 dead letter and 2 that hang on it")])
    expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ dead: 4 })
  })

  test.each([
    ["neither an ID nor --all", ["dead", "discard"], "Name its ID, or say --all"],
    ["both", ["dead", "discard", "01ABC", "--all"], "either IDs or --all"],
    ["a choice without --all", ["dead", "retry", "01ABC", "--code", "x"], "go with --all"],
    ["a word that is no command", ["dead", "bury"], "no command dead bury"],
  ])("%s is wrong usage", async (_, args, message) => {
    await using box = await openCliBox()
    await box.host(() => {}, false)
    const { code, err } = await box.run(...args)
    expect([code, err]).toEqual([2, expect.stringContaining(message)])
  })
})
