/** `sturdy backup`: a copy that is whole or not there, of an outbox in use, and what becomes of it. */
import { readdirSync, statSync } from "node:fs"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { openBox, record } from "../flusher/box.ts"
import { many } from "../many.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { closedOutbox, hashes, largeOutbox, leafOf, ruin } from "../store/damage.ts"
import { tempDir } from "../temp-dir.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run } from "./run.ts"

const ref = {
  service: "http://127.0.0.1:9/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "canary_secret_0123456789abcdef",
}

describe("backup", () => {
  test("of an outbox in use copies what is committed, for its owner alone, and says what it holds and how to restore", async () => {
    await using dir = tempDir()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const notes = outbox.stream("notes", ref)
    for (let n = 0; n < 100; n++) notes.record({ method: "put", args: [n] })
    const ran = await run(["backup", dir.file("copy.db"), "--db", dir.file()])
    notes.record({ method: "put", args: [100] })
    await outbox.close({ flush_ms: 0 })
    expect(ran.code).toBe(0)
    expect(ran.out).toContain("1 stream, 100 pending ops, 0 dead letters")
    for (const said of ["secrets", "0600", "stop the host", "twin"]) expect(ran.err).toContain(said)
    expect(ran.out + ran.err).not.toContain("canary")
    expect((statSync(dir.file("copy.db")).mode & 0o777).toString(8)).toBe("600")
    expect(readdirSync(dir.path).toSorted()).toEqual(["copy.db", "outbox.db"])
    const copy = openOutbox(dir.file("copy.db"))
    expect(copy.stream("notes").status().pending).toBe(100)
    await copy.close({ flush_ms: 0 })
  })

  test("--json is one object", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(3))
    const { code, out, err } = await run(["backup", dir.file("copy.db"), "--json", "--db", dir.file()])
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(lastJson(out)).toEqual({
      version: 1,
      file: dir.file("copy.db"),
      bytes: statSync(dir.file("copy.db")).size,
      streams: 1,
      pending: 3,
      dead: 0,
    })
  })

  test("refuses a file that is there, and a folder that is not, in one line", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file())
    closedOutbox(dir.file("copy.db"))
    const before = hashes(dir)
    for (const name of ["copy.db", "nowhere/copy.db"]) {
      const ran = await run(["backup", dir.file(name), "--db", dir.file()])
      expect(ran.code).toBe(1)
      expectOneLine(ran)
    }
    expect(hashes(dir)).toEqual(before)
  })

  test("of a damaged outbox leaves nothing, ends with 3, and says what reads the rest", async () => {
    await using dir = tempDir()
    closedOutbox(dir.file(), many(1_000))
    ruin(dir.file(), leafOf(dir.file(), "sturdy_op"))
    const before = hashes(dir)
    const ran = await run(["backup", dir.file("copy.db"), "--db", dir.file()])
    expect(ran.code).toBe(3)
    expectOneLine(ran)
    expect(ran.err).toContain("doctor")
    expect(hashes(dir)).toEqual(before)
  })

  test("of an outbox in a database of the host's is refused: it is part of the host's backup", async () => {
    await using dir = tempDir()
    {
      using database = new ScopedDatabase(dir.file())
      database.run("create table invoice (id integer primary key)")
      const outbox = openOutbox({ database })
      await outbox.close({ flush_ms: 0 })
    }
    const ran = await run(["backup", dir.file("copy.db"), "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("invoice")
  })

  test.each(["SIGINT", "SIGTERM"] as const)("interrupted by %s leaves nothing, and ends by it", async (signal) => {
    await using dir = tempDir()
    largeOutbox(dir.file(), 60_000)
    const child = cli(["backup", dir.file("copy.db"), "--db", dir.file()])
    const unfinished = () => readdirSync(dir.path).find((name) => name.endsWith(".unfinished"))
    while (!unfinished() || statSync(dir.file(unfinished()!)).size === 0) await Bun.sleep(1)
    child.kill(signal)
    await child.exited
    expect(child.signalCode).toBe(signal)
    expect(readdirSync(dir.path)).toEqual(["outbox.db"])
  })

  test("put in place of the outbox after it went on: a twin, and nothing is doubled", async () => {
    await using box = await openBox()
    const outbox = box.open()
    record(box.stream(outbox), "1 2 3")
    await box.run(outbox.flush())
    const copy = box.dir.file("copy.db")
    expect((await run(["backup", copy, "--db", box.dir.file()])).code).toBe(0)
    record(box.stream(outbox), "4 5")
    await box.run(outbox.flush())
    const restored = box.open({}, copy)
    record(box.stream(restored), "6")
    expect(await box.run(restored.flush())).toEqual({ settled: true, blocked: [] })
    expect(box.effects).toEqual(["1", "2", "3", "4", "5", "6"])
    expect(box.row("s", copy).twin_count).toBe(1)
  })
})
