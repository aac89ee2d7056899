/** `ops`, `batches` and `show`, where what they list is not whole, not one, or not to be seen. */
import { copyFileSync } from "node:fs"
import { describe, expect, test } from "bun:test"
import { localSeq } from "../../src/store/stream.ts"
import { openOutbox } from "../../src/outbox.ts"
import { lived } from "../inspect/lived.ts"
import { ref } from "../store/box.ts"
import { tempDir } from "../temp-dir.ts"
import { tamper } from "./doctor-box.ts"
import { expectOneLine } from "./one-line.ts"
import { lastJson, run } from "./run.ts"

test("ops mark those that continue the unit of the one before, and only those", async () => {
  await using dir = tempDir()
  lived(dir.file())
  const { out } = await run(["ops", "--state", "in_flight", "--db", dir.file()])
  const places = out
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/ +/)[2])
  expect(places).toEqual(["#6", "┆#7", "#8"])
})

describe("batches", () => {
  test("say how many ops are in none yet, to people alone", async () => {
    await using dir = tempDir()
    lived(dir.file())
    expect((await run(["batches", "--db", dir.file()])).err).toBe("3 ops not sealed into a batch yet\n")
    expect((await run(["batches", "--stream", "notes", "--db", dir.file()])).err).toStartWith("2 ops")
    expect((await run(["batches", "--json", "--db", dir.file()])).err).toBe("")
  })

  test("of a page say where the next begins", async () => {
    await using dir = tempDir()
    lived(dir.file())
    const { err } = await run(["batches", "--limit", "2", "--json", "--db", dir.file()])
    const [, after] = /^more: --after (\d+)\n$/.exec(err)!
    expect(localSeq(Number(after))).toBe(2)
  })
})

test.each(["ops", "batches", "watch", "dead list"])(
  "%s of a stream that is not there names the one that was meant",
  async (name) => {
    await using dir = tempDir()
    lived(dir.file())
    const ran = await run([...name.split(" "), "--stream", "other", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("Did you mean others?")
  },
)

describe("show", () => {
  test("of a payload that was not asked for has no result either", async () => {
    await using dir = tempDir()
    const { result } = lived(dir.file())
    const short = lastJson((await run(["show", result, "--json", "--db", dir.file()])).out)
    expect(short).not.toHaveProperty("result")
    expect(short).toMatchObject({ method: "create", bytes: 4 })
    expect(lastJson((await run(["show", result, "--json", "--payload", "--db", dir.file()])).out)).toMatchObject({
      result: '{"id":"r"}',
    })
  })

  test("of an op that waits says how many are before it", async () => {
    await using dir = tempDir()
    const { left, lone } = lived(dir.file())
    for (const [id, ahead] of [
      [left, 0],
      [lone, 2],
    ] as const)
      expect(lastJson((await run(["show", id, "--json", "--db", dir.file()])).out)).toMatchObject({
        standing: { ahead },
      })
  })

  test("of an op of a stream that tries again says what it met", async () => {
    await using dir = tempDir()
    const { outside } = lived(dir.file())
    tamper(dir.file(), "update sturdy_stream set attempts = 2, last_error = 'refu\u001bsed'")
    expect((await run(["show", outside, "--db", dir.file()])).out).toContain(
      "2 failed attempts, the last: refu\\u001bsed",
    )
  })

  test("hides every secret of the outbox: of the service's making, and of a rotation that has not ended", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const secrets = ["canary_of_the_service", "canary_of_a_rotation"]
    const op = outbox.stream("notes", ref).record({ method: "put", args: [secrets, ref.secret], key: ref.secret })
    const id = outbox.opId(op)
    await outbox.close({ flush_ms: 0 })
    tamper(dir.file(), `update sturdy_stream set remote_secret = '${secrets[0]}', next_secret = '${secrets[1]}'`)
    const { out } = await run(["show", id, "--payload", "--db", dir.file()])
    expect(out).toContain('[[["[secret]","[secret]"]],"[secret]"]')
    expect(out).toContain("key        [secret]")
  })

  test("of a batch hides a secret that is a key", async () => {
    await using dir = tempDir()
    lived(dir.file())
    tamper(dir.file(), "update sturdy_op set key = (select secret from sturdy_stream limit 1)")
    const { batch_id } = lastJson((await run(["batches", "--json", "--db", dir.file()])).out)
    for (const json of [[], ["--json"]]) {
      const { out } = await run(["show", String(batch_id), "--db", dir.file(), ...json])
      expect(out).toContain("[secret]")
      expect(out).not.toContain(ref.secret)
    }
  })

  test("of what is the beginning of many names a few, and says that there are more", async () => {
    await using dir = tempDir()
    lived(dir.file())
    for (const words of [["show"], ["dead", "show"]]) {
      const { code, err } = await run([...words, "01HF7Y", "--db", dir.file()])
      expect([code, err]).toEqual([1, expect.stringContaining("more than 8 ids")])
      expect(err.match(/\w{26} \(/g)).toHaveLength(8)
      expect(err).toEndWith("; ….\n")
    }
  })
})

test("an outbox of which a copy is read says so", async () => {
  await using dir = tempDir()
  lived(dir.file())
  copyFileSync(dir.file(), dir.file("other.db"))
  const fixture = `${import.meta.dir}/../store/exclusive-fixture.ts`
  const holder = Bun.spawn([process.execPath, fixture, dir.file(), "pragma"], { stdin: "pipe", stdout: "pipe" })
  await holder.stdout.getReader().read()
  const { code, err } = await run(["ops", "--db", dir.file()])
  void holder.stdin.end()
  await holder.exited
  expect([code, err]).toEqual([0, "locked by another process: read from a copy made just now\n"])
})
