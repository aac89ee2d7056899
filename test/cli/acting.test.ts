/** Commands that act: they do the one step that was asked for, on the outbox that is there, as the host left it. */
import { writeFileSync } from "node:fs"
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { httpJson } from "../../src/index.ts"
import { openOutbox } from "../../src/outbox.ts"
import { openOutbox as openOlder } from "../fixture/older/outbox-schema-1.js"
import { ScopedDatabase } from "../scoped-database.ts"
import { hashes } from "../store/damage.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { openCliBox } from "./box.ts"
import { tamper } from "./doctor-box.ts"
import { expectOneLine } from "./one-line.ts"
import { cli, lastJson, run } from "./run.ts"

const record = (title: string) => ({ method: "create", args: [{ title }] })
const ref = (n = 0) => ({
  service: `http://127.0.0.1:9/${n}/rpc/share`,
  share_id: `share_of_the_test_${n}`,
  secret: "canary_secret_0123456789abcdef",
})

function rowIn(file: string, name = "notes") {
  using db = new ScopedDatabase(file, { readonly: true })
  return db.query("select * from sturdy_stream where name = ?").get(name) as Record<string, string | number | null>
}

/** Streams that are blocked for these reasons. */
async function blockedIn(dir: TempDir, reasons: Record<string, string>): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  for (const [index, name] of Object.keys(reasons).entries())
    outbox.stream(name, ref(index)).record({ method: "put", args: [1] })
  await outbox.close({ flush_ms: 0 })
  for (const [name, reason] of Object.entries(reasons))
    tamper(dir.file(), `update sturdy_stream set block = '${reason}', service_id = 'of_before' where name = '${name}'`)
  return dir.file()
}

describe("unblock", () => {
  test("--service stores where the service has moved, an origin as its usual endpoint, and a path as it is", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { notes: "other_server" })
    for (const [given, stored] of [
      ["http://127.0.0.1:9", "http://127.0.0.1:9/rpc/share"],
      ["http://127.0.0.1:9/a/b", "http://127.0.0.1:9/a/b"],
    ] as const) {
      const { code, out } = await run(["unblock", "notes", "--service", given, "--db", file])
      expect([code, out]).toEqual([0, expect.stringContaining(`the service is ${stored}`)])
      expect(rowIn(file).service).toBe(stored)
    }
  })

  test("--accept-server forgets which server answered before, and nothing else does", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { notes: "other_server" })
    await run(["unblock", "notes", "--db", file])
    expect(rowIn(file)).toMatchObject({ block: null, service_id: "of_before" })
    expect((await run(["unblock", "notes", "--accept-server", "--db", file])).code).toBe(0)
    expect(rowIn(file).service_id).not.toBe("of_before")
  })

  test("lifts the block of each stream that was named, and of no other", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { a: "revoked", b: "expired", c: "revoked" })
    const { out } = await run(["unblock", "a", "b", "--db", file])
    const same = "; with the same secret it will stand again"
    expect(out).toBe(`a: the block revoked is lifted${same}\nb: the block expired is lifted${same}\n`)
    expect(["a", "b", "c"].map((name) => rowIn(file, name).block)).toEqual([null, null, "revoked"])
  })

  test("--all --reason leaves those that are blocked for another", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { a: "revoked", b: "expired", c: "revoked" })
    await run(["unblock", "--all", "--reason", "revoked", "--db", file])
    expect(["a", "b", "c"].map((name) => rowIn(file, name).block)).toEqual([null, "expired", null])
  })

  test("takes a secret for one stream only, and only one that can be one", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { a: "revoked", b: "revoked" })
    const secret = dir.file("secret")
    writeFileSync(secret, "another_secret_0123456789")
    for (const names of [["a", "b"], ["--all"]])
      expect((await run(["unblock", ...names, "--secret-file", secret, "--db", file])).code).toBe(2)
    writeFileSync(secret, "canary too short")
    const { code, err } = await run(["unblock", "a", "--secret-file", secret, "--db", file])
    expect([code, err]).toEqual([2, expect.stringContaining(`${secret} holds no secret`)])
    expect(err).not.toContain("canary")
    expect(rowIn(file, "a")).toMatchObject({ block: "revoked", secret: ref().secret })
  })

  test("of a name that is not there lifts no other's block", async () => {
    await using dir = tempDir()
    const file = await blockedIn(dir, { a: "revoked" })
    expect((await run(["unblock", "a", "nobody", "--db", file])).code).toBe(1)
    expect(rowIn(file, "a").block).toBe("revoked")
  })
})

describe("flush", () => {
  test("ends with 0 beside dead letters of before, and counts them", async () => {
    await using box = await openCliBox()
    box.refused.add("a")
    await box.host((_, notes) => notes.record(record("a")))
    await box.host((_, notes) => notes.record(record("b")), false)
    const { code, out } = await box.run("flush")
    expect([code, out]).toEqual([0, expect.stringContaining("1 dead letter: sturdy dead list")])
  })

  test("--json says how much is left where it stands", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")))
    await box.host((_, notes) => {
      notes.unblock({ secret: "of_nobody_0123456789abcdef_0123456789" })
      for (const title of ["b", "c"]) notes.record(record(title))
    }, false)
    const { code, out } = await box.run("flush", "--json")
    expect(code).toBe(3)
    expect(lastJson(out)).toMatchObject({
      settled: false,
      pending: 2,
      dead: 0,
      blocked: [{ stream: "notes", reason: "share_unknown" }],
    })
  })

  test("is ended by SIGTERM without leaving the lease behind", async () => {
    await using box = await openCliBox()
    await box.host((_, notes) => notes.record(record("a")), false)
    await box.service.stop()
    const child = cli(["flush", "--db", box.file])
    // Its first word is that of an attempt that failed.
    await child.stderr.getReader().read()
    child.kill("SIGTERM")
    expect(await child.exited).toBe(1)
    expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ lease: { state: "free" } })
  })

  test("says when whoever holds the lease tries next", async () => {
    await using box = await openCliBox()
    await using outbox = openOutbox(box.file, { retryDelayMsMin: 600_000, retryDelayMsMax: 600_000 })
    await box.service.stop()
    const failed = new Promise((resolve) => outbox.on("failed", resolve))
    outbox.stream("notes", outbox.newRef(box.endpoint), { create: { session_id: "notes" } }).record(record("a"))
    await failed
    const { code, err } = await box.run("flush")
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/holds the lease and sends what is pending, next (in \d+ (s|min|h)|now)\./),
    ])
    void outbox.close({ flush_ms: 0 })
  })

  test("speaks to a service as the host did", async () => {
    await using box = await openCliBox()
    const methods: string[] = []
    await using gateway = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname, search } = new URL(request.url)
        methods.push(pathname)
        const body = request.method === "GET" ? undefined : await request.text()
        const { method, headers } = request
        return fetch(`${box.service.url}${pathname}${search}`, { method, headers, body: body ?? null })
      },
    })
    const outbox = openOutbox(box.file, { protocols: [httpJson] })
    const service = `http://127.0.0.1:${gateway.port}/rpc/share`
    const notes = outbox.stream("notes", outbox.newRef(service), { create: { session_id: "notes" } })
    notes.record(record("a"))
    await outbox.flush()
    outbox.pause()
    notes.record(record("b"))
    await outbox.close({ flush_ms: 0 })
    methods.length = 0
    expect((await box.run("flush")).code).toBe(0)
    expect(box.applied).toEqual(["a", "b"])
    expect(methods.some((path) => path.startsWith("/api/share/"))).toBeTrue()
    expect(methods).not.toContain("/rpc/share")
  })
})

describe("a header", () => {
  /** Two services that refuse, each with the keys that it was sent. */
  async function twoGateways() {
    const dir = tempDir()
    const keys: Record<"a" | "b", (string | null)[]> = { a: [], b: [] }
    const gateway = (name: "a" | "b") =>
      Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch(request) {
          keys[name].push(request.headers.get("x-key"))
          return new Response("no", { status: 401 })
        },
      })
    const servers = { a: gateway("a"), b: gateway("b") }
    const origins = { a: `http://127.0.0.1:${servers.a.port}`, b: `http://127.0.0.1:${servers.b.port}` }
    const outbox = openOutbox(dir.file())
    outbox.pause()
    for (const name of ["a", "b"] as const)
      outbox.stream(name, { ...ref(), share_id: `share_of_the_test_${name}`, service: `${origins[name]}/rpc/share` })
    outbox.stream("a").record({ method: "put", args: [1] })
    await outbox.close({ flush_ms: 0 })
    const flush = (...args: string[]) =>
      run(["flush", "--header-env", "X-Key=KEY", "--db", dir.file(), ...args], { KEY: "canary" })
    return {
      keys,
      origins,
      flush,
      file: dir.file(),
      async [Symbol.asyncDispose]() {
        await Promise.all([servers.a.stop(true), servers.b.stop(true)])
        await dir[Symbol.asyncDispose]()
      },
    }
  }

  async function bothOwing(file: string): Promise<void> {
    const outbox = openOutbox(file)
    outbox.pause()
    outbox.stream("b").record({ method: "put", args: [1] })
    await outbox.close({ flush_ms: 0 })
  }

  test("needs no --service where one service alone has something to get", async () => {
    await using two = await twoGateways()
    expect((await two.flush()).code).toBe(3)
    expect(two.keys).toEqual({ a: ["canary"], b: [] })
  })

  test("wants --service where several have, and then goes to that one only", async () => {
    await using two = await twoGateways()
    await bothOwing(two.file)
    const asked = await two.flush()
    expect([asked.code, asked.err]).toEqual([2, expect.stringContaining("Say --service with one of")])
    expect(two.keys).toEqual({ a: [], b: [] })
    expect((await two.flush("--service", two.origins.b)).code).toBe(3)
    expect(two.keys).toEqual({ a: [null], b: ["canary"] })
  })

  test("is for no service whose address only begins like the one that was named", async () => {
    await using two = await twoGateways()
    for (const named of [two.origins.a.slice(0, -1), "http://127.0.0.1", "http://elsewhere"]) {
      const { code, err } = await two.flush("--service", named)
      expect([code, err]).toEqual([2, expect.stringContaining("--service names none of those")])
    }
    expect(two.keys).toEqual({ a: [], b: [] })
  })
})

test("ref rotate sends the header that a gateway wants, and shows neither its value nor a secret", async () => {
  await using box = await openCliBox()
  const keys: (string | null)[] = []
  await using gateway = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      keys.push(request.headers.get("x-key"))
      return fetch(box.endpoint, { method: "POST", body: await request.text() })
    },
  })
  await box.host((_, notes) => notes.record(record("a")))
  tamper(box.file, `update sturdy_stream set service = 'http://127.0.0.1:${gateway.port}/rpc/share'`)
  const args = ["ref", "rotate", "notes", "--yes", "--header-env", "X-Key=KEY", "--db", box.file]
  const { code, out, err } = await run(args, { KEY: "canary" })
  expect([code, new Set(keys)]).toEqual([0, new Set(["canary"])])
  expect(out + err).not.toContain("canary")
})

test("ref rotate sends nothing of what is pending, however long it takes", async () => {
  await using box = await openCliBox()
  await box.host((_, notes) => notes.record(record("a")))
  await box.host((_, notes) => notes.record(record("b")), false)
  expect((await box.run("ref", "rotate", "notes", "--yes")).code).toBe(0)
  expect(box.applied).toEqual(["a"])
  expect(lastJson((await box.run("status", "--json")).out)).toMatchObject({ pending: 1 })
})

describe("an outbox in the database of a host", () => {
  const pragmas = ["journal_mode", "auto_vacuum", "application_id", "user_version"]
  const pragmasOf = (file: string) => {
    using db = new ScopedDatabase(file)
    return pragmas.map((name) => db.query(`pragma ${name}`).values())
  }

  async function hostIn(dir: TempDir, open: typeof openOutbox): Promise<void> {
    const database = new Database(dir.file())
    database.run("create table diary (entry text)")
    const outbox = open({ database })
    outbox.pause()
    outbox.stream("notes", ref()).record({ method: "put", args: [1] })
    await outbox.close({ flush_ms: 0 })
    database.run("update sturdy_stream set block = 'revoked'")
    database.close()
  }

  test("is acted on, and keeps the host's pragmas", async () => {
    await using dir = tempDir()
    await hostIn(dir, openOutbox)
    const before = pragmasOf(dir.file())
    expect(before[0]).toEqual([["delete"]])
    expect((await run(["unblock", "notes", "--db", dir.file()])).code).toBe(0)
    expect(rowIn(dir.file()).block).toBeNull()
    expect(pragmasOf(dir.file())).toEqual(before)
  })

  test("of an older schema is left to the host, who alone knows how to bring it up", async () => {
    await using dir = tempDir()
    await hostIn(dir, openOlder)
    const before = hashes(dir)
    const ran = await run(["unblock", "notes", "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(ran.err).toContain("Start that program with this Sturdy first")
    expect(hashes(dir)).toEqual(before)
  })
})

test.each(["flush", "unblock notes", "dead retry --all", "dead discard --all --yes", "ref rotate notes --yes"])(
  "%s makes no outbox where there is none",
  async (words) => {
    await using dir = tempDir()
    const ran = await run([...words.split(" "), "--db", dir.file()])
    expect(ran.code).toBe(1)
    expectOneLine(ran)
    expect(hashes(dir)).toEqual({})
  },
)
