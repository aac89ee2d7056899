/** How `sturdy doctor` asks services: few of them, once, and it repeats no secret that an answer or a row repeats. */
import { newHttpBatchRpcSession } from "capnweb"
import { expect, test } from "bun:test"
import { serveShareService } from "../../src/service/index.ts"
import { openOutbox } from "../../src/outbox.ts"
import type { ShareService } from "../../src/wire/contract.ts"
import { ruin } from "../store/damage.ts"
import { tempDir, type TempDir } from "../temp-dir.ts"
import { diagnose, outboxWith, ref, tamper } from "./doctor-box.ts"
import { run } from "./run.ts"

/** So many streams at this service, each with an op that waits. */
async function streamsAt(dir: TempDir, service: string, count: number): Promise<string> {
  const outbox = openOutbox(dir.file())
  outbox.pause()
  for (let n = 0; n < count; n++)
    outbox.stream(`s${n}`, { ...ref, service, share_id: `share_of_the_test_${n}` }).record({ method: "put", args: [n] })
  await outbox.close({ flush_ms: 0 })
  return dir.file()
}

function gatewayTo(answer: (request: Request) => Response | Promise<Response>) {
  const requests: string[] = []
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      requests.push(`${request.method} ${new URL(request.url).pathname}`)
      return answer(request)
    },
  })
  return {
    requests,
    url: `http://127.0.0.1:${server.port}/rpc/share`,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

test("three shares of a service are asked, each once; the others of it would hear the same", async () => {
  await using dir = tempDir()
  const service = serveShareService({ file: dir.file("service.db"), port: 0, methods: {} })
  await using gateway = gatewayTo(async (request) =>
    fetch(`${service.url}/rpc/share`, { method: "POST", body: await request.text() }),
  )
  const { code, of } = await diagnose(await streamsAt(dir, gateway.url, 5), [])
  expect([code, of("connection").map(({ code }) => code)]).toEqual([
    3,
    ["share_unknown", "share_unknown", "share_unknown"],
  ])
  expect(gateway.requests).toHaveLength(3)
  await service.stop()
})

test("a service that does not answer one is not asked for the next", async () => {
  await using dir = tempDir()
  await using gateway = gatewayTo(() => new Response("later", { status: 503 }))
  const { code, of } = await diagnose(await streamsAt(dir, gateway.url, 5), [])
  expect([code, of("connection").length, gateway.requests.length]).toEqual([0, 1, 1])
})

test("nothing is asked with --offline, nor for a stream that has nothing to send or was removed", async () => {
  await using dir = tempDir()
  await using gateway = gatewayTo(() => new Response("x"))
  const file = await streamsAt(dir, gateway.url, 2)
  await diagnose(file, ["--offline"])
  tamper(
    file,
    "update sturdy_stream set time_removal = 1, time_closed = 2, block = 'revoked' where name = 's0'",
    "update sturdy_stream set cursor = cursor + 1, frozen_seq = cursor + 1 where name = 's1'",
  )
  expect((await diagnose(file, [])).out).toContain("no service was asked")
  expect(gateway.requests).toEqual([])
})

test("a capability that may not append is wrong, with the way to another", async () => {
  await using dir = tempDir()
  const service = serveShareService({ file: dir.file("service.db"), port: 0, methods: { put: () => null } })
  const url = `${service.url}/rpc/share`
  const outbox = openOutbox(dir.file())
  outbox.stream("notes", { ...ref, service: url }, { create: { session_id: "s" } }).record({ method: "put", args: [1] })
  await outbox.flush()
  await outbox.close()
  const session = newHttpBatchRpcSession<ShareService & object>(url)
  const { secret } = await session
    .redeemShare({ share_id: ref.share_id, secret: ref.secret, writer_id: "0".repeat(26) })
    .share.attenuate({ scopes: ["read"] })
  const reader = openOutbox(dir.file("reader.db"))
  reader.pause()
  reader.stream("notes", { ...ref, service: url, secret }).record({ method: "put", args: [1] })
  await reader.close({ flush_ms: 0 })
  const { code, of } = await diagnose(dir.file("reader.db"), [])
  expect(code).toBe(3)
  expect(of("connection")).toMatchObject([
    {
      level: "wrong",
      message: expect.stringContaining("may not append"),
      command: expect.stringContaining("sturdy unblock notes --secret-file FILE"),
    },
  ])
  await service.stop()
})

test("a share that was there and is lost is a warning: it is created again by itself", async () => {
  await using dir = tempDir()
  const service = serveShareService({ file: dir.file("service.db"), port: 0, methods: {} })
  const file = await streamsAt(dir, `${service.url}/rpc/share`, 1)
  tamper(file, "update sturdy_stream set session_id = 's', granted = 1")
  const { code, of } = await diagnose(file, [])
  expect([code, of("connection")]).toMatchObject([
    0,
    [{ level: "warning", message: expect.stringContaining("has lost the share") }],
  ])
  await service.stop()
})

test("a clock that is behind the service's is said to be behind", async () => {
  await using dir = tempDir()
  const date = new Date(Date.now() + 3 * 3_600_000).toUTCString()
  await using gateway = gatewayTo(() => new Response("later", { status: 503, headers: { date } }))
  const { of } = await diagnose(await streamsAt(dir, gateway.url, 1), [])
  expect(of("connection").at(-1)).toMatchObject({
    level: "warning",
    message: expect.stringMatching(/clock is \d h behind/),
  })
})

test("a secret that a row of the outbox repeats is in no finding", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir)
  tamper(file, `update sturdy_stream set block = 'revoked', block_message = 'not ' || secret || ' any more'`)
  const { out } = await diagnose(file)
  expect(out).toContain("not [secret] any more")
  expect(out).not.toContain(ref.secret)
})

test("a gateway's key that an answer repeats is in no finding", async () => {
  await using dir = tempDir()
  await using gateway = gatewayTo((request) =>
    Response.json(
      { error: { code: "share_unknown", message: `not ${request.headers.get("x-key")}` } },
      { status: 404 },
    ),
  )
  const file = await streamsAt(dir, gateway.url, 1)
  tamper(file, "update sturdy_stream set protocol = 'http'")
  const { of, out } = await diagnose(file, ["--header-env", "x-key=KEY"], { KEY: "canary_key" })
  expect(of("connection")).toMatchObject([{ message: expect.stringContaining("share_unknown: not [secret]") }])
  expect(out).not.toContain("canary_key")
})

test("of an outbox whose first page is gone no program would put it aside: its ops are got out first", async () => {
  await using dir = tempDir()
  const file = await outboxWith(dir, 500)
  ruin(file, 1)
  const { code, of } = await diagnose(file)
  expect([code, of("database")[0]]).toMatchObject([3, { level: "wrong", command: `sturdy export --db ${file}` }])
})

test.each([[["--offline"]], [["--header-env", "X-Key=HOME"]]])(
  "--quarantine with %j is wrong usage: it asks no service",
  async (more) => {
    await using dir = tempDir()
    const file = await outboxWith(dir)
    const { code, err } = await run(["doctor", "--quarantine", ...more, "--db", file])
    expect([code, err]).toEqual([2, expect.stringContaining("--quarantine asks no service")])
  },
)
