import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/index.ts"
import { openCliBox } from "./box.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run } from "./run.ts"

const record = (title: string) => ({ method: "create", args: [{ title }] })

describe("flush", () => {
  test("sends what is pending, in order, and says that all is settled", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => ["a", "b", "c"].map((title) => notes.record(record(title))), false)
    expect(await box.run("flush")).toEqual({ code: 0, out: "everything is settled\n", err: "" })
    expect(box.applied).toEqual(["a", "b", "c"])
  })

  test("--json is one line", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    const { code, out } = await box.run("flush", "--json")
    expect([code, lastJson(out)]).toEqual([0, { version: 1, settled: true, pending: 0, dead: 0, blocked: [] }])
  })

  test("ends with 3 and the command that helps where a stream stands", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")))
    await box.host((outbox, notes) => {
      notes.unblock({ secret: "of_nobody_0123456789abcdef_0123456789" })
      notes.record(record("b"))
      return outbox
    }, false)
    const { code, out } = await box.run("flush")
    expect(code).toBe(3)
    expect(out).toContain("notes is blocked: share_unknown")
    expect(out).toContain(`sturdy ref show notes --db ${box.file}`)
    expect(out).toContain("1 op still pending")
  })

  test("ends with 3 where something was rejected, and names it", async () => {
    await using box = await openCliBox()
    box.refused.add("a")
    await box.host((_, notes) => notes.record(record("a")), false)
    const { code, out, err } = await box.run("flush")
    expect([code, out]).toEqual([3, expect.stringContaining("sturdy dead list")])
    expect(err).toContain("title_taken")
  })

  test("gives up after --timeout, and leaves all as it was", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    await box.service.stop()
    const began = performance.now()
    const { code, out, err } = await box.run("flush", "--timeout", "1")
    expect(performance.now() - began).toBeGreaterThan(1_000)
    expect([code, out]).toEqual([1, "stopped: 1 op still pending, nothing is lost\n"])
    expect(err).toContain("nothing is lost")
  })

  test("is ended by SIGINT without leaving the lease behind", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    await box.service.stop()
    const child = cli(["flush", "--db", box.file])
    // Its first word is that of an attempt that failed.
    await child.stderr.getReader().read()
    child.kill("SIGINT")
    expect(await child.exited).toBe(1)
    expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ lease: { state: "free" } })
  })

  test("takes no lease from a process that is alive: it says who has it", async () => {
    await using box = await openCliBox()
    await box.service.stop()
    await using outbox = openOutbox(box.file)
    const held = new Promise((resolve) => outbox.on("lease", resolve))
    outbox.stream("notes", outbox.newRef(box.endpoint), { create: { session_id: "notes" } }).record(record("a"))
    await held
    const ran = await box.run("flush")
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain(`pid ${process.pid}`)
    expect(ran.err).toContain("--wait")
    void outbox.close({ flush_ms: 0 })
  })

  test("--wait waits until the process that is alive has sent everything", async () => {
    await using box = await openCliBox()
    await using outbox = openOutbox(box.file, { retryDelayMsMin: 1, retryDelayMsMax: 50 })
    const held = new Promise((resolve) => outbox.on("lease", resolve))
    outbox.stream("notes", outbox.newRef(box.endpoint), { create: { session_id: "notes" } }).record(record("a"))
    await held
    const { code, out } = await box.run("flush", "--wait")
    expect([code, out]).toEqual([0, "everything is settled\n"])
    expect(box.applied).toEqual(["a"])
    void outbox.close({ flush_ms: 0 })
  })

  test("makes no outbox where there is none", async () => {
    await using box = await openCliBox()
    const ran = await run(["flush", "--db", box.dir.file("none.db")])
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("there is no outbox")])
    expect(await Bun.file(box.dir.file("none.db")).exists()).toBeFalse()
  })

  test("sends a header from the environment to the one service, and never shows its value", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    const keys: (string | null)[] = []
    using gateway = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        keys.push(request.headers.get("x-gateway-key"))
        return new Response("no", { status: 401 })
      },
    })
    await box.run("unblock", "notes", "--service", `http://127.0.0.1:${gateway.port}`)
    const args = ["flush", "--header-env", "X-Gateway-Key=GATEWAY_KEY", "--db", box.file]
    const { code, out, err } = await run(args, { GATEWAY_KEY: "canary-of-the-gateway" })
    expect(code).toBe(3)
    expect(keys).toEqual(["canary-of-the-gateway"])
    expect(out + err).not.toContain("canary")
  })

  test.each([
    ["a value instead of a variable's name", ["--header-env", "X-Key=canary-value!"], "must be NAME=VARIABLE"],
    ["a variable that is not set", ["--header-env", "X-Key=NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"],
    ["a service without a header", ["--service", "http://x"], "--service goes with --header-env"],
    ["no time at all", ["--timeout", "0"], "--timeout must be a number from 1"],
  ])("%s is wrong usage", async (_, args, message) => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    const { code, err } = await box.run("flush", ...args)
    expect([code, err]).toEqual([2, expect.stringContaining(message)])
    expect(err).not.toContain("canary")
  })
})
