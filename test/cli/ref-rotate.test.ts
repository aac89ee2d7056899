/** `sturdy ref rotate`, in processes of its own, at a real service. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { openOutbox } from "../../src/outbox.ts"
import { serveShareService } from "../../src/service/index.ts"
import type { SturdyRef } from "../../src/store/stream.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import type { BusyHostSaid } from "./busy-host-fixture.ts"
import { cli, lastJson, run } from "./run.ts"

function servedIn(dir: TempDir) {
  const service = serveShareService({
    file: dir.file("service.db"),
    port: 0,
    methods: {
      put({ sql }, note) {
        sql.run("insert into effect (note) values (?)", (note as { id: number }).id)
      },
    },
  })
  service.sql.run("create table if not exists effect (place integer primary key, note integer) strict")
  return {
    url: `${service.url}/rpc/share`,
    /** Notes in the order in which they were applied. */
    get effects() {
      return service.sql.all<{ note: number }>("select note from effect order by place").map(({ note }) => note)
    },
    get rotations() {
      return service.sql.all("select 1 from audit where action = 'rotate'").length
    },
    [Symbol.asyncDispose]: () => service.stop(),
  }
}

/** An outbox with a stream `notes` whose share is there; the host has ended. */
async function outboxIn(dir: TempDir, service: string): Promise<SturdyRef> {
  await using outbox = openOutbox(dir.file())
  const ref = outbox.newRef(service)
  outbox.stream("notes", ref, { create: { session_id: "ses_1" } }).record({ method: "put", args: [{ id: 0 }] })
  await outbox.flush()
  return ref
}

function storedIn(dir: TempDir) {
  using db = new ScopedDatabase(dir.file(), { readonly: true })
  return db.query("select secret, next_secret, epoch from sturdy_stream").get() as {
    secret: string
    next_secret: string | null
    epoch: number
  }
}

const rotate = (dir: TempDir, ...more: string[]) => run(["ref", "rotate", "notes", "--db", dir.file(), ...more])

test("says which share has another secret and what died, and prints neither secret", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const ref = await outboxIn(dir, service.url)
  const { code, out, err } = await rotate(dir, "--yes")
  const { secret, next_secret, epoch } = storedIn(dir)
  expect([code, err, next_secret, epoch]).toEqual([0, "", null, 2])
  expect(out).toStartWith(`notes: share ${ref.share_id} has another secret, epoch 2\n`)
  expect(out).toContain("stream_conflict")
  expect(secret).not.toBe(ref.secret)
  expect([out.includes(secret), out.includes(ref.secret)]).toEqual([false, false])
})

test("--json is one object", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const { share_id } = await outboxIn(dir, service.url)
  const { code, out } = await rotate(dir, "--yes", "--json")
  expect([code, lastJson(out)]).toEqual([0, { version: 1, stream: "notes", share_id, epoch: 2 }])
})

test("where nobody can be asked it wants --yes, and changes nothing", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const { secret } = await outboxIn(dir, service.url)
  const { code, err } = await rotate(dir)
  expect([code, storedIn(dir), service.rotations]).toEqual([2, { secret, next_secret: null, epoch: 1 }, 0])
  expect(err).toContain("say --yes")
})

test.each([
  ["a stream that is not there", ["noted"], 1, "notes"],
  ["a pattern of names", ["no*"], 1, "there is no stream no*"],
  ["no stream", [], 2, "an argument is missing"],
])("%s is refused", async (_, names, exit, says) => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  await outboxIn(dir, service.url)
  const { code, err } = await run(["ref", "rotate", ...names, "--yes", "--db", dir.file()])
  expect([code, err]).toEqual([exit, expect.stringContaining(says)])
})

test("a service that is not there: says that it can be repeated, and then it goes on", async () => {
  await using dir = tempDir()
  let port: string
  {
    await using service = servedIn(dir)
    await outboxIn(dir, service.url)
    port = new URL(service.url).port
  }
  const first = await rotate(dir, "--yes")
  expect([first.code, first.err]).toEqual([1, expect.stringContaining("Repeat it")])
  const { next_secret } = storedIn(dir)
  expect(first.out + first.err).not.toContain(next_secret!)
  await using again = serveShareService({ file: dir.file("service.db"), port: Number(port), methods: {} })
  const second = await rotate(dir, "--yes")
  expect([second.code, storedIn(dir)]).toEqual([0, { secret: next_secret!, next_secret: null, epoch: 2 }])
  await again.stop()
})

test("beside a host under load, again and again, also two at once: nothing lost, doubled, out of order or blocked", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const fixture = join(import.meta.dir, "busy-host-fixture.ts")
  await using host = startChild<BusyHostSaid>(fixture, { file: dir.file(), service: service.url })
  await host.heard((said): said is BusyHostSaid & { is: "recording" } => said.is === "recording")
  let code = 1
  // The first ones may come before the share is there, or meet a lock that is held for long.
  for (let tries = 0; code !== 0 && tries < 20; tries++) code = (await rotate(dir, "--yes")).code
  const said = [await rotate(dir, "--yes"), await rotate(dir, "--yes")]
  for (let round = 0; round < 2; round++)
    said.push(...(await Promise.all([rotate(dir, "--yes"), rotate(dir, "--yes")])))
  said.push(await rotate(dir, "--yes"))
  host.finish()
  const ended = await host.heard((said): said is BusyHostSaid & { is: "ended" } => said.is === "ended")
  expect(said.map(({ code, err }) => [code, err])).toEqual(said.map(() => [0, ""]))
  expect([ended.errors, ended.settled]).toEqual([[], ended.recorded])
  expect(service.effects).toEqual(Array.from({ length: ended.recorded }, (_, id) => id))
  // Of two at once, one may end what the other began.
  expect(service.rotations).toBeGreaterThanOrEqual(6)
  expect(storedIn(dir)).toMatchObject({ next_secret: null, epoch: service.rotations + 1 })
}, 60_000)

test("killed when the service has taken the new secret and nobody has heard of it: the host goes on by itself", async () => {
  await using dir = tempDir()
  await using service = servedIn(dir)
  const taken = Promise.withResolvers<void>()
  await using gateway = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = await request.text()
      const answer = await fetch(service.url, { method: "POST", body })
      if (!body.includes("rotateSecret")) return new Response(await answer.text())
      await answer.text()
      taken.resolve()
      return new Promise<Response>(() => {})
    },
  })
  const ref = await outboxIn(dir, `http://127.0.0.1:${gateway.port}/rpc/share`)
  const killed = cli(["ref", "rotate", "notes", "--yes", "--db", dir.file()])
  await taken.promise
  killed.kill("SIGKILL")
  await killed.exited
  expect([storedIn(dir).secret, service.rotations]).toEqual([ref.secret, 1])
  await using host = openOutbox(dir.file())
  const blocks: string[] = []
  host.on("blocked", ({ reason }) => blocks.push(reason))
  host.stream("notes").record({ method: "put", args: [{ id: 1 }] })
  expect(await host.flush()).toEqual({ settled: true, blocked: [] })
  expect([service.effects, blocks, storedIn(dir).next_secret, service.rotations]).toEqual([[0, 1], [], null, 1])
})
