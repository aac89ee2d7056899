/** What `sturdy doctor` says of the services: asked by a redeem, which changes nothing there. */
import { newHttpBatchRpcSession } from "capnweb"
import { expect, test } from "bun:test"
import { copyFileSync } from "node:fs"
import { openOutbox } from "../../src/outbox.ts"
import type { OutboxOptions } from "../../src/options.ts"
import { httpJson } from "../../src/index.ts"
import { serveShareService } from "../../src/service/index.ts"
import type { ShareService } from "../../src/wire/contract.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { diagnose, outboxWith, picture, tamper } from "./doctor-box.ts"

const canary = "canary_secret_0123456789abcdef"

function serviceIn(dir: TempDir, name = "service.db") {
  const service = serveShareService({ file: dir.file(name), port: 0, methods: { put: () => null } })
  const { sql } = service
  return {
    service_id: service.service_id,
    rpc: `${service.url}/rpc/share`,
    ref: (n = 0) => ({ service: `${service.url}/rpc/share`, share_id: `share_of_the_test_${n}`, secret: canary }),
    /** All that a service can have done. */
    facts: () =>
      sql
        .all<{ name: string }>("select name from sqlite_schema where type = 'table' order by name")
        .map(({ name }) => [name, sql.all(`select * from ${name}`)]),
    [Symbol.asyncDispose]: () => service.stop(),
  }
}

type Service = ReturnType<typeof serviceIn>

/** One op sent, and one that waits. */
async function sentAndPending(dir: TempDir, service: Service, options: OutboxOptions = {}): Promise<string> {
  const outbox = openOutbox(dir.file(), options)
  const stream = outbox.stream("notes", service.ref(), { create: { session_id: "s" } })
  stream.record({ method: "put", args: [1] })
  await outbox.flush()
  outbox.pause()
  stream.record({ method: "put", args: [2] })
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

test("a share that has something to send is redeemed: epoch, scopes, register, time; nothing changes there or here", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service)
  const [there, here] = [JSON.stringify(service.facts()), picture(dir)[file]]
  const { code, odd, all, out, err } = await diagnose(file, [])
  expect({ code, odd }).toEqual({ code: 0, odd: [] })
  expect(all.filter(({ check }) => check === "connection")).toMatchObject([
    {
      level: "ok",
      message: expect.stringMatching(/answers in \d+ ms by rpc: epoch 1, scopes [^;]*append[^;]*; register 1, as here/),
      service_id: service.service_id,
      cursor: 1,
      protocol: "rpc",
    },
  ])
  expect(out + err).not.toContain(canary)
  expect(JSON.stringify(service.facts())).toBe(there)
  expect(picture(dir)[file]).toEqual(here)
})

test("a share that is yet to be created is ok, and is not created", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const outbox = openOutbox(dir.file())
  outbox.pause()
  outbox.stream("notes", service.ref(), { create: { session_id: "s" } }).record({ method: "put", args: [1] })
  await outbox.close({ flush_ms: 0 })
  const there = JSON.stringify(service.facts())
  const { code, odd, out } = await diagnose(dir.file(), [])
  expect({ code, odd }).toEqual({ code: 0, odd: [] })
  expect(out).toContain("the share is created when the stream is first sent")
  expect(JSON.stringify(service.facts())).toBe(there)
})

test("plain HTTP is asked for the grant only", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service, { protocols: [httpJson] })
  const { odd, all } = await diagnose(file, [])
  expect(odd).toEqual([])
  expect(all.find(({ check }) => check === "connection")).toMatchObject({ protocol: "http", cursor: 1 })
})

test("a removed stream, and one with nothing to send, are asked of nobody", async () => {
  await using dir = tempDir()
  const requests: string[] = []
  using server = Bun.serve({ port: 0, fetch: ({ url }) => (requests.push(url), new Response("x")) })
  const file = await outboxWith(dir, 3)
  tamper(file, `update sturdy_stream set service = '${server.url}rpc/share', time_closed = 1, time_removal = 1`)
  const { out } = await diagnose(file, [])
  expect(out).toContain("no service was asked")
  expect(requests).toEqual([])
})

test("a revoked capability is told with what lifts it, in the words of the block", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  await sentAndPending(dir, service)
  const { share_id, secret } = service.ref()
  const remote = () => newHttpBatchRpcSession<ShareService & object>(service.rpc)
  const redeem = { share_id, secret, writer_id: "0".repeat(26) }
  const child = await remote()
    .redeemShare(redeem)
    .share.attenuate({ scopes: ["append"] })
  await remote().redeemShare(redeem).share.revokeCapability({ capability_id: child.capability_id })
  const outbox = openOutbox(dir.file("other.db"))
  outbox.pause()
  outbox.stream("notes", { ...service.ref(), secret: child.secret }).record({ method: "put", args: [1] })
  await outbox.close({ flush_ms: 0 })
  const { code, of, out } = await diagnose(dir.file("other.db"), [])
  expect(code).toBe(3)
  expect(of("connection")).toMatchObject([{ level: "wrong", code: "revoked", cure: expect.stringContaining("owner") }])
  expect(out).not.toContain(child.secret)
})

test("what the stream is blocked for already is no second wrong; what is gone by now is told, with the way to look", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service)
  tamper(file, "update sturdy_stream set block = 'share_unknown', block_message = ''")
  expect((await diagnose(file, [])).of("connection")).toMatchObject([
    {
      level: "note",
      message: expect.stringContaining("seems to be gone"),
      command: expect.stringContaining("unblock"),
    },
  ])
  tamper(file, "update sturdy_stream set secret = 'another_secret_0123456789abcdef', session_id = null")
  expect((await diagnose(file, [])).of("connection")).toMatchObject([
    { level: "note", code: "share_unknown", message: expect.stringContaining("for that the stream is blocked") },
  ])
})

test("another service at the address is told", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service)
  tamper(file, "update sturdy_stream set service_id = 'of_before'")
  const { code, of } = await diagnose(file, [])
  expect(code).toBe(3)
  expect(of("connection")).toMatchObject([{ level: "wrong", code: "other_server" }])
})

test("a head that is not known here is told as the twin that is to come; a known one as an answer that was lost", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service)
  const copy = dir.file("copy.db")
  copyFileSync(file, copy)
  const outbox = openOutbox(file)
  await outbox.flush()
  outbox.pause()
  outbox.stream("notes").record({ method: "put", args: [3] })
  await outbox.close({ flush_ms: 0 })
  // The copy has the op that was sent since.
  expect((await diagnose(copy, [])).of("connection")).toMatchObject([
    { level: "note", message: expect.stringContaining("register 2, here 1: an answer was lost") },
  ])
  tamper(copy, "update sturdy_op set op_id = randomblob(16) where seq > (select cursor from sturdy_stream)")
  expect((await diagnose(copy, [])).of("connection")).toMatchObject([
    { level: "warning", message: expect.stringContaining("(a twin)") },
  ])
})

test("a service that lost what it had acknowledged is told", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const file = await sentAndPending(dir, service)
  tamper(file, "update sturdy_stream set base_cursor = 9")
  expect((await diagnose(file, [])).of("connection")).toMatchObject([
    { level: "warning", message: expect.stringContaining("register 1, here 9: the service lost") },
  ])
})

test("a page instead of a service is told as the flusher would, and a service that is down is a warning", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir)
  {
    using portal = Bun.serve({
      port: 0,
      fetch: () => new Response("<html>", { headers: { "content-type": "text/html" } }),
    })
    tamper(file, `update sturdy_stream set service = '${portal.url}rpc/share'`)
    const { code, of } = await diagnose(file, [])
    expect(code).toBe(3)
    expect(of("connection")).toMatchObject([{ level: "wrong", code: "unsupported" }])
    await portal.stop(true)
  }
  const { code, of } = await diagnose(file, [])
  expect(code).toBe(0)
  expect(of("connection")).toMatchObject([{ level: "warning", code: "refused" }])
})

test("opencode's own REST is not asked, and that is said", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir)
  tamper(file, "update sturdy_stream set protocol = 'rest'")
  const { code, of } = await diagnose(file, [])
  expect(code).toBe(0)
  expect(of("connection")).toMatchObject([{ level: "note", message: expect.stringContaining("was not asked") }])
})

test("a gateway's key goes to its service only, and is in no output; without it the gateway's word is told", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const keys: (string | null)[] = []
  using gateway = Bun.serve({
    port: 0,
    async fetch(request) {
      keys.push(request.headers.get("x-key"))
      if (request.headers.get("x-key") !== "canary_key") return new Response("no", { status: 401 })
      return fetch(service.rpc, { method: "POST", body: await request.text() })
    },
  })
  const file = await sentAndPending(dir, service)
  tamper(file, `update sturdy_stream set service = '${gateway.url}rpc/share'`)
  const shut = await diagnose(file, [])
  expect(shut.of("connection")).toMatchObject([{ level: "wrong", code: "scope_denied" }])
  const open = await diagnose(file, ["--header-env", "x-key=GATEWAY_KEY"], { GATEWAY_KEY: "canary_key" })
  expect({ code: open.code, odd: open.odd }).toEqual({ code: 0, odd: [] })
  expect(keys).toEqual([null, "canary_key"])
  expect(open.out + open.err).not.toContain("canary")
})

test("a clock that differs from the service's is told", async () => {
  await using dir = tempDir()
  await using service = serviceIn(dir)
  const date = new Date(Date.now() - 3 * 3_600_000).toUTCString()
  using late = Bun.serve({
    port: 0,
    async fetch(request) {
      const response = await fetch(service.rpc, { method: "POST", body: await request.text() })
      return new Response(await response.text(), { headers: { date, "content-type": "text/plain" } })
    },
  })
  const file = await sentAndPending(dir, service)
  tamper(file, `update sturdy_stream set service = '${late.url}rpc/share'`)
  expect((await diagnose(file, [])).of("connection")).toMatchObject([
    { level: "warning", message: expect.stringMatching(/clock is \d h ahead of that of/) },
  ])
})
