import { describe, expect, test } from "bun:test"
import { type CliBox, openCliBox } from "./box.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson } from "./run.ts"

const text = "a long story ".repeat(100)

/** Three ops of one batch, settled: a note, a tag on it, and a unit of two. */
async function settled(box: CliBox): Promise<{ note: string; tag: string; secret: string; batch: string }> {
  const found = { note: "", tag: "", secret: "", batch: "" }
  await box.host((outbox, notes) => {
    found.secret = notes.ref().secret
    const note = notes.record<{ id: string }>({ method: "create", args: [{ title: "plan", text }], key: "note/1" })
    const tag = notes.record({ method: "tag", args: [note.id, found.secret], actorId: "ada" })
    outbox.unit(() => {
      notes.record({ method: "tag", args: ["x", "y"] })
      notes.record({ method: "tag", args: ["x", "z"], dependsOn: [tag] })
    })
    Object.assign(found, { note: outbox.opId(note), tag: outbox.opId(tag) })
  })
  found.batch = String(lastJson((await box.run("batches", "--json")).out).batch_id)
  return found
}

describe("show, of an op,", () => {
  test("says where it stands, its call, its batch, and what hangs together with it", async () => {
    await using box = await openCliBox()
    const { note, tag, batch } = await settled(box)
    const { code, out } = await box.run("show", tag)
    expect(code).toBe(0)
    for (const part of [`op ${tag}  acked`, "notes, place #2", "actor      ada", `batch      ${batch}, #1–4`])
      expect(out).toContain(part)
    expect(out).toMatch(new RegExp(`depends on ${note}  acked  #1  create`))
    expect(out).toMatch(/needed by {2}\w{26} {2}acked {2}#4 {2}tag/)
  })

  test("shortens the payload unless it is asked for", async () => {
    await using box = await openCliBox()
    const { note } = await settled(box)
    const short = await box.run("show", note)
    expect(short.out).not.toContain(text)
    expect(short.out).toContain("--payload shows all")
    expect((await box.run("show", note, "--payload")).out).toContain(text)
    expect(lastJson((await box.run("show", note, "--json")).out)).not.toHaveProperty("args")
    expect(lastJson((await box.run("show", note, "--json", "--payload")).out)).toHaveProperty("args")
  })

  test("hides the outbox's own secrets, also in a payload", async () => {
    await using box = await openCliBox()
    const { tag, secret } = await settled(box)
    const outputs = await Promise.all(
      [[], ["--payload"], ["--json", "--payload"]].map((options) => box.run("show", tag, ...options)),
    )
    for (const { out, err } of outputs) expect(out + err).not.toContain(secret)
    expect(outputs[1]!.out).toContain("[secret]")
  })

  test("knows the unit that it was recorded with", async () => {
    await using box = await openCliBox()
    await settled(box)
    const last = lastJson((await box.run("ops", "--json")).out)
    expect(lastJson((await box.run("show", String(last.op_id), "--json")).out)).toMatchObject({
      unit: { first_seq: 3, last_seq: 4 },
    })
  })

  test("says what waits before a pending one, and why the stream does not move", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "create", args: [{ title: "a" }] }))
    await box.host((_, notes) => {
      notes.unblock({ secret: "of_nobody_0123456789abcdef_0123456789" })
      for (const title of ["b", "c"]) notes.record({ method: "create", args: [{ title }] })
    })
    const last = lastJson((await box.run("ops", "--json")).out)
    const { out } = await box.run("show", String(last.op_id))
    expect(out).toContain("1 place before it in its stream")
    expect(out).toContain("the stream is blocked: share_unknown")
  })

  test("of a replaced one knows by which", async () => {
    await using box = await openCliBox()
    const ids: string[] = []
    await box.host((outbox, notes) => {
      for (const title of ["draft", "final"])
        ids.push(outbox.opId(notes.record({ method: "create", args: [{ title }], key: "note/1" })))
    }, false)
    expect((await box.run("show", ids[0]!)).out).toContain(`replaced by ${ids[1]}`)
    expect(lastJson((await box.run("show", ids[1]!, "--json")).out)).toMatchObject({ supersedes: [ids[0]] })
  })
})

describe("show, of a batch,", () => {
  test("draws what depends on what, and brackets a unit", async () => {
    await using box = await openCliBox()
    const { batch } = await settled(box)
    const { code, out } = await box.run("show", batch)
    expect(code).toBe(0)
    const drawn = out.trimEnd().split("\n").slice(3)
    expect(drawn.map((line) => line.replace(/ {2}\w{26} .*/, ""))).toEqual([
      "    ○    #1",
      "    ●    #2",
      "  ┌ │ ○  #3",
      "  └ ●    #4",
    ])
  })

  test("as JSON has its ops with their dependencies", async () => {
    await using box = await openCliBox()
    const { batch, note, tag } = await settled(box)
    const found = lastJson((await box.run("show", batch, "--json")).out)
    expect(found).toMatchObject({ version: 1, kind: "batch", batch_id: batch, state: "settled", ops: 4 })
    const members = found.members as { op_id: string; depends_on: string[] }[]
    expect(members.slice(0, 2)).toMatchObject([
      { op_id: note, depends_on: [] },
      { op_id: tag, depends_on: [note] },
    ])
  })
})

describe("an ID", () => {
  test("may be the beginning of one that is its alone, in any case", async () => {
    await using box = await openCliBox()
    const { note } = await settled(box)
    const lower = note.toLowerCase()
    expect((await box.run("show", lower)).out).toContain(`op ${note}`)
  })

  test("that is the beginning of several is refused with the candidates", async () => {
    await using box = await openCliBox()
    const { note, tag, batch } = await settled(box)
    const ran = await box.run("show", note.slice(0, 4))
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    for (const id of [note, tag, batch]) expect(ran.err).toContain(id)
  })

  test("with a wrong letter is refused with what is nearest", async () => {
    await using box = await openCliBox()
    const { note } = await settled(box)
    const wrong = note.slice(0, 20) + (note[20] === "X" ? "Y" : "X") + note.slice(21)
    const ran = await box.run("show", wrong)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toMatch(new RegExp(`Nearest: .*${note} \\(create, notes #1\\)`))
  })

  test.each([
    "",
    "not an id",
    "8ZZZ",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV0",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "../etc",
    "'; drop",
  ])("%p is refused in one line", async (id) => {
    await using box = await openCliBox()
    await settled(box)
    const ran = await box.run("show", id)
    expect(ran.code).toBe(1)
    expectOneLine(ran)
  })

  test("that is a stream's name is refused with the commands for streams", async () => {
    await using box = await openCliBox()
    await settled(box)
    const ran = await box.run("show", "notes")
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("`sturdy ops --stream notes`")])
    expectOneLine(ran)
  })

  test("is found where only a dead letter is left of the op", async () => {
    await using box = await openCliBox()
    box.refused.add("plan")
    let id = ""
    await box.host((outbox, notes) => {
      id = outbox.opId(notes.record({ method: "create", args: [{ title: "plan" }] }))
    })
    expect((await box.run("show", id)).out).toContain(`sturdy dead retry ${id}`)
  })
})

describe("ops", () => {
  const methodsOf = (out: string) =>
    out
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { method: string }).method)

  test("* in --key and --method stands for any text, and for nothing else", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => {
      for (const key of ["part/1", "part/[2]", "note/1"])
        notes.record({ method: `${key.split("/")[0]}.put`, args: [1], key })
    }, false)
    expect(methodsOf((await box.run("ops", "--key", "part/*", "--json")).out)).toEqual(["part.put", "part.put"])
    expect(methodsOf((await box.run("ops", "--key", "*[2]", "--json")).out)).toEqual(["part.put"])
    expect(methodsOf((await box.run("ops", "--method", "n*", "--json")).out)).toEqual(["note.put"])
    expect((await box.run("ops", "--key", "part/?")).err).toBe("no such ops\n")
  })

  test("--since takes a time or how long ago", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record({ method: "put", args: [1] }), false)
    for (const since of ["1h", "2020-01-01", "2020-01-01T10:00:00Z"])
      expect(methodsOf((await box.run("ops", "--since", since, "--json")).out)).toEqual(["put"])
    expect((await box.run("ops", "--since", "2999-01-01")).err).toBe("no such ops\n")
    const { code, err } = await box.run("ops", "--since", "yesterday")
    expect([code, err]).toEqual([2, expect.stringContaining("--since must be a time")])
  })
})
