/** Decisions about many dead letters, and the question that comes before what cannot be undone. */
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { until } from "../until.ts"
import { type CliBox, openCliBox } from "./box.ts"
import { tamper } from "./doctor-box.ts"
import { onTerminal } from "./on-terminal.ts"
import { lastJson } from "./run.ts"

const main = join(import.meta.dir, "../../src/cli/main.ts")
const lines = (out: string) => out.trimEnd().split("\n").filter(Boolean)

/** `plan` with a tag on it, and `list`: three dead letters. Their op_ids. */
async function refused(box: CliBox): Promise<string[]> {
  box.refused.add("plan").add("list")
  const ids: string[] = []
  await box.host((outbox, notes) => {
    const plan = notes.record<{ id: string }>({ method: "create", args: [{ title: "plan" }], wantResult: true })
    const tag = notes.record({ method: "tag", args: [plan.id, "work"] })
    const list = notes.record({ method: "create", args: [{ title: "list" }] })
    ids.push(...[plan, tag, list].map((op) => outbox.opId(op)))
  })
  return ids
}

const deadIn = async (box: CliBox) => lastJson((await box.run("status", "--json")).out).dead

describe("dead retry --all", () => {
  test("leaves one that waits for another's retry, says so, goes on with the others, and ends with 3", async () => {
    await using box = await openCliBox()
    const [plan, tag, list] = await refused(box)
    const { code, out, err } = await box.run("dead", "retry", "--all", "--code", "dependency_rejected")
    expect([code, out]).toEqual([3, ""])
    expect(err).toMatch(new RegExp(`^left: .*${tag}.*${plan}`))
    expect(lines((await box.run("dead", "retry", "--all", "--code", "title_taken", "--json")).out)).toHaveLength(3)
    expect((await box.run("dead", "retry", list!)).code).toBe(1)
  })

  test("of another stream's letters takes none of these", async () => {
    await using box = await openCliBox()
    await refused(box)
    await box.host((outbox) => {
      outbox.stream("other", outbox.newRef(box.endpoint))
      outbox.pause()
    }, false)
    expect((await box.run("dead", "retry", "--all", "--stream", "other")).err).toBe("no dead letters\n")
    expect(await deadIn(box)).toBe(3)
  })

  test("sends nothing itself, and says who does", async () => {
    await using box = await openCliBox()
    await refused(box)
    box.refused.clear()
    const { err } = await box.run("dead", "retry", "--all")
    expect(err).toContain(`sturdy flush --db ${box.file}`)
    expect(box.applied).toEqual([])
  })

  test("takes all of more than a page", async () => {
    await using box = await openCliBox()
    box.refused.add("x")
    await box.host((_, notes) => {
      for (let n = 0; n < 1_001; n++) notes.record({ method: "create", args: [{ title: "x" }] })
    })
    const { code, out } = await box.run("dead", "discard", "--all", "--yes")
    expect([code, lines(out).length]).toEqual([0, 1_001])
    expect(await deadIn(box)).toBe(0)
  })
})

describe("dead discard", () => {
  test("--all gives each up once, --json a line per op", async () => {
    await using box = await openCliBox()
    const ids = await refused(box)
    const { code, out } = await box.run("dead", "discard", "--all", "--yes", "--json")
    expect([code, lines(out).map((line) => (JSON.parse(line) as { op_id: string }).op_id)]).toEqual([0, ids])
  })

  test("--code gives up those of that code, with what hangs on them", async () => {
    await using box = await openCliBox()
    await refused(box)
    expect(
      lines((await box.run("dead", "discard", "--all", "--code", "dependency_rejected", "--yes")).out),
    ).toHaveLength(1)
    expect(await deadIn(box)).toBe(2)
  })

  const answers: [typed: string, code: number, dead: number][] = [
    ["\r", 1, 3],
    ["no\r", 1, 3],
    ["yikes\r", 1, 3],
    ["\u0004", 1, 3],
    ["y\r", 0, 1],
    ["YES\r", 0, 1],
  ]
  test.skipIf(process.platform === "win32").each(answers)(
    "asks at a terminal, and to %j ends with %i and leaves %i",
    async (typed, code, dead) => {
      await using box = await openCliBox()
      const [plan] = await refused(box)
      await using on = onTerminal(main, ["dead", "discard", plan!, "--db", box.file])
      await until(() => on.seen.text.includes("[y/N]"))
      expect(on.seen.text).toContain("1 dead letter and 1 that hang on it")
      on.terminal.write(typed)
      expect(await on.child.exited).toBe(code)
      expect(await deadIn(box)).toBe(dead)
    },
  )
})

describe("dead list", () => {
  test("of decided ones alone ends with 0, and proposes nothing", async () => {
    await using box = await openCliBox()
    const [, , list] = await refused(box)
    await box.run("dead", "discard", "--all", "--yes")
    const { code, out, err } = await box.run("dead", "list", "--all")
    expect([code, lines(out).length, err]).toEqual([0, 4, ""])
    const shown = (await box.run("dead", "show", list!)).out
    expect(shown).toContain("given up by a person")
    expect(shown).not.toContain("sturdy dead retry")
  })

  test("of a retried one, show names the op that was recorded for it", async () => {
    await using box = await openCliBox()
    const [, , list] = await refused(box)
    const { retried_op_id } = lastJson((await box.run("dead", "retry", list!, "--json")).out)
    expect((await box.run("dead", "show", list!)).out).toContain(`recorded again as ${String(retried_op_id)}`)
  })

  test("shows no secret that a service's message repeats, nor does show", async () => {
    await using box = await openCliBox()
    const [plan] = await refused(box)
    tamper(box.file, "update sturdy_dead_letter set message = 'not ' || (select secret from sturdy_stream) || ' again'")
    for (const args of [
      ["dead", "list"],
      ["dead", "list", "--json"],
      ["dead", "show", plan!],
      ["show", plan!, "--json"],
    ]) {
      const { out } = await box.run(...args)
      expect(out).toContain("not [secret] again")
    }
  })
})

test("dead show takes no batch for a dead letter", async () => {
  await using box = await openCliBox()
  await refused(box)
  const { batch_id } = lastJson((await box.run("batches", "--json")).out)
  const { code, err } = await box.run("dead", "show", String(batch_id))
  expect([code, err]).toEqual([1, expect.stringContaining("no op has an id that begins with")])
})
