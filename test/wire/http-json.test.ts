/** The contract over plain HTTP with JSON: a real outbox and the real service, with a server between that a test tells what to do. */
import { describe, expect, test } from "bun:test"
import { httpJson, openOutbox, rpc, type Outbox, type OutboxOptions, type Stream } from "../../src/index.ts"
import { legacyRest } from "../../src/opencode/index.ts"
import { createShareService, type ServiceEvent } from "../../src/service/index.ts"
import { openLegacyServer } from "../opencode/legacy-server.ts"
import { tempDir } from "../temp-dir.ts"

/** What becomes of a request; `through` takes it to the service. */
type Fate = (through: () => Promise<Response>) => Response | Promise<Response>

async function openBox() {
  const dir = tempDir()
  const decided: ServiceEvent[] = []
  const service = createShareService({ file: dir.file("service.db"), observe: (event) => decided.push(event) })
  const requests: string[] = []
  const headers: Headers[] = []
  const fates: Fate[] = []
  const outboxes: Outbox[] = []
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      requests.push(`${request.method} ${pathname.replace(/^(\/api\/share)\/[\w-]+/, "$1/:id")}`)
      headers.push(request.headers)
      const fate = fates.shift()
      return fate ? fate(() => service.fetch(request)) : service.fetch(request)
    },
  })
  return {
    service,
    requests,
    headers,
    fates,
    address: `http://127.0.0.1:${server.port}/rpc/share`,
    /** What was asked since it was called last. */
    asked: () => requests.splice(0),
    open(options: OutboxOptions = {}) {
      const quick = { lingerMs: 0, retryDelayMsMin: 1, retryDelayMsMax: 5 }
      const outbox = openOutbox(dir.file("outbox.db"), { protocols: [httpJson], ...quick, ...options })
      outboxes.push(outbox)
      return outbox
    },
    stream(outbox: Outbox, name = "s") {
      return outbox.stream(name, outbox.newRef(`http://127.0.0.1:${server.port}/rpc/share`), {
        create: { session_id: "ses_1" },
      })
    },
    /** Ids of the messages of a share, as the service shows them. */
    async messages(stream: Stream) {
      const path = `/api/share/${stream.status().share_id}/data`
      const response = await service.fetch(new Request(`http://127.0.0.1${path}`))
      return ((await response.json()) as { data: { id: string } }[]).map(({ data }) => data.id)
    },
    /** The outcomes of each batch that the service decided. */
    batches: () => decided.flatMap((event) => (event.name === "batch" ? [event.answer] : [])),
    async [Symbol.asyncDispose]() {
      for (const outbox of outboxes) await outbox.close({ flush_ms: 0 })
      await server.stop(true)
      service.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const put = (stream: Stream, ...ids: string[]) =>
  ids.map((id) => stream.record({ method: "message.put", args: [{ id, role: "user" }] }))

const status =
  (code: number, headers: Record<string, string> = {}): Fate =>
  () =>
    new Response("", { status: code, headers })
const pass: Fate = (through) => through()
/** The service has decided, and the client does not hear of it. */
const lost: Fate = async (through) => {
  await through()
  return new Response("", { status: 502 })
}
const says =
  (code: number, body: unknown): Fate =>
  () =>
    Response.json(body, { status: code })
const error = (code: number, name: string, message = "no") => says(code, { error: { code: name, message } })

const settled = { settled: true, blocked: [] }

describe("the calls of a POST", () => {
  test("go one after the other; before the service has answered, what only reads comes first", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_1", "msg_2")
    expect(await outbox.flush()).toEqual(settled)
    expect(box.asked()).toEqual([
      "GET /api/share/:id/grant",
      "POST /api/share",
      "GET /api/share/:id/grant",
      "POST /api/share/:id/ops",
    ])
    expect(stream.status()).toMatchObject({ protocol: "http", pending: 0, url: expect.stringContaining("/share/") })
    put(stream, "msg_3")
    await outbox.flush()
    expect(box.asked()).toEqual(["GET /api/share/:id/grant", "POST /api/share/:id/ops"])
    put(box.stream(outbox, "t"), "msg_1")
    await outbox.flush()
    expect(box.asked()).toEqual(["POST /api/share", "GET /api/share/:id/grant", "POST /api/share/:id/ops"])
    expect(await box.messages(stream)).toEqual(["msg_1", "msg_2", "msg_3"])
  })

  test("carry several batches in order, and stop at the first that is no Ack", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_0")
    await outbox.flush()
    box.asked()
    outbox.pause()
    for (let n = 1; n <= 250; n++) put(stream, `msg_${n}`)
    box.fates.push(pass, pass, status(503))
    outbox.resume()
    expect(await outbox.flush()).toEqual(settled)
    expect(box.asked().map((request) => request.split("/").at(-1))).toEqual([
      "grant",
      "ops",
      "ops",
      "grant",
      "ops",
      "ops",
    ])
    expect(box.batches()).toHaveLength(4)
    expect((await box.messages(stream)).length).toBe(251)
  })

  test("show the secret in one header and nowhere else, and the epoch of the grant with what changes something", async () => {
    await using box = await openBox()
    const outbox = box.open({ headers: () => ({ Authorization: "Basic host", "x-key": "host" }) })
    const ref = outbox.newRef(box.address)
    put(outbox.stream("s", ref, { create: { session_id: "ses_1" } }), "msg_1")
    expect(await outbox.flush()).toEqual(settled)
    for (const headers of box.headers) {
      expect([headers.get("authorization"), headers.get("x-key")]).toEqual([`Bearer ${ref.secret}`, "host"])
    }
    expect(box.requests.join()).not.toContain(ref.secret)
    expect(box.headers.map((headers) => headers.get("sturdy-epoch"))).toEqual([null, null, null, "1"])
    expect(box.headers.map((headers) => headers.get("content-type"))).toEqual([
      null,
      "application/json",
      null,
      "application/json",
    ])
  })
})

describe("what is lost is sent again, and decided once:", () => {
  test.each<[string, Fate[]]>([
    ["the first grant", [lost]],
    ["the create", [pass, lost]],
    ["the grant", [pass, pass, lost]],
    ["the Ack", [pass, pass, pass, lost]],
    ["everything twice", [lost, pass, lost, pass, pass, lost, pass, pass, lost]],
  ])("%s", async (_, fates) => {
    await using box = await openBox()
    box.fates.push(...fates)
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_1", "msg_2")
    expect(await outbox.flush()).toEqual(settled)
    expect(await box.messages(stream)).toEqual(["msg_1", "msg_2"])
    expect(stream.status()).toMatchObject({ protocol: "http", dead: 0, url: expect.stringContaining("/share/") })
  })

  test("and a batch that is known is answered as duplicates", async () => {
    await using box = await openBox()
    box.fates.push(pass, pass, pass, lost)
    const outbox = box.open()
    put(box.stream(outbox), "msg_1", "msg_2")
    await outbox.flush()
    expect(box.batches().at(-1)).toMatchObject({ applied: [], duplicates: { length: 2 } })
  })
})

describe("a removal", () => {
  test("asks for the grant and removes; once more after a lost answer", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_1")
    await outbox.flush()
    box.asked()
    box.fates.push(pass, lost)
    stream.remove()
    expect(await outbox.flush()).toEqual(settled)
    expect(box.asked()).toEqual(["GET /api/share/:id/grant", "DELETE /api/share/:id", "GET /api/share/:id/grant"])
  })

  test("of a share that was never created leaves a tombstone, so that no late create brings it back", async () => {
    await using box = await openBox()
    const outbox = box.open()
    outbox.pause()
    const stream = box.stream(outbox)
    stream.remove()
    outbox.resume()
    expect(await outbox.flush()).toEqual(settled)
    expect(box.asked().slice(1)).toEqual(["POST /api/share", "GET /api/share/:id/grant", "DELETE /api/share/:id"])
  })
})

test("a refusal of the grant says whose word it is: what another service does not know is not removed", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const ref = outbox.newRef(box.address)
  const body = JSON.stringify({ ...ref, session_id: "ses_1" })
  await box.service.fetch(new Request(`${new URL(box.address).origin}/api/share`, { method: "POST", body }))
  const stream = outbox.stream("s", ref)
  put(stream, "msg_1")
  await outbox.flush()
  box.fates.push(says(404, { error: { code: "share_unknown", message: "no", service_id: "another_service" } }))
  stream.remove()
  expect((await outbox.flush()).blocked).toMatchObject([{ reason: "other_server" }])
  const { service_id } = box.service
  box.fates.push(says(404, { error: { code: "share_unknown", message: "no", service_id } }))
  stream.unblock()
  expect(await outbox.flush()).toEqual(settled)
})

describe("an answer by status and code", () => {
  test.each<[string, Fate, string]>([
    ["401", status(401), "scope_denied"],
    ["403 without a code", status(403), "scope_denied"],
    ["404 without a code", status(404), "unsupported"],
    ["a page", () => new Response("<html>", { headers: { "content-type": "text/html" } }), "unsupported"],
    ["a redirect", status(307, { location: "http://127.0.0.1:1/" }), "unsupported"],
    ["JSON that is no grant", says(200, { hello: "world" }), "unsupported"],
    ["revoked", error(403, "revoked"), "revoked"],
    ["expired", error(403, "expired"), "expired"],
    ["share_removed", error(410, "share_removed"), "share_removed"],
  ])("to the grant: %s blocks", async (_, fate, reason) => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_1")
    await outbox.flush()
    box.fates.push(fate)
    put(stream, "msg_2")
    expect((await outbox.flush()).blocked).toMatchObject([{ reason }])
    expect(stream.status()).toMatchObject({ pending: 1, protocol: "http" })
  })

  test.each<[string, Fate]>([
    ["500", status(500)],
    ["503 with a code", error(503, "busy")],
    ["429", status(429)],
    ["500 with a code that is none of the contract's", error(500, "internal")],
    ["JSON that is cut", () => new Response('{"share_id', { headers: { "content-type": "application/json" } })],
    ["stale_epoch", error(403, "stale_epoch")],
  ])("to any call: %s is tried again", async (_, fate) => {
    await using box = await openBox()
    box.fates.push(fate, pass, fate, pass, pass, fate, pass, pass, pass, fate)
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "msg_1")
    expect(await outbox.flush()).toEqual(settled)
    expect(await box.messages(stream)).toEqual(["msg_1"])
  })

  test("what the grant fails at is not blamed on the batch", async () => {
    await using box = await openBox()
    for (let attempt = 0; attempt < 12; attempt++) box.fates.push(status(500))
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.unit(() => put(stream, "msg_1", "msg_2"))
    expect(await outbox.flush()).toEqual(settled)
    expect(box.batches()).toHaveLength(1)
  })

  test("a batch answered by HTTP 500 again and again is narrowed to its unit, which blocks", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    for (let n = 0; n < 12; n++) box.fates.push(pass, ...(n === 0 ? [pass, pass] : []), status(500))
    put(stream, "msg_1")
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "service_fault" }])
  })

  test("a Retry-After of a refusal is waited for", async () => {
    await using box = await openBox()
    const outbox = box.open()
    box.fates.push(() =>
      Response.json({ error: { code: "busy", message: "no" } }, { status: 503, headers: { "retry-after": "1" } }),
    )
    const failed = new Promise<number>((resolve) => outbox.on("failed", (event) => resolve(event.next_attempt_at)))
    const before = Date.now()
    put(box.stream(outbox), "msg_1")
    expect(await failed).toBeGreaterThanOrEqual(before + 1_000)
  })

  test("a refusal that repeats a gateway's key, with or without the word before it, is stored without it", async () => {
    await using box = await openBox()
    const outbox = box.open({ headers: () => ({ "proxy-authorization": "Basic gateway_key_1" }) })
    box.fates.push(error(403, "revoked", "Basic gateway_key_1 is not gateway_key_1, a Basic mistake"))
    const stream = outbox.stream("s", outbox.newRef(box.address), { create: { session_id: "ses_1" } })
    put(stream, "msg_1")
    await outbox.flush()
    expect(stream.status().block?.message).toBe("[secret] is not [secret], a Basic mistake")
  })

  test("a refusal that repeats the secret is stored without it", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const ref = outbox.newRef(box.address)
    box.fates.push(error(403, "revoked", `not ${ref.secret}`))
    const stream = outbox.stream("s", ref, { create: { session_id: "ses_1" } })
    put(stream, "msg_1")
    await outbox.flush()
    expect(stream.status().block?.message).toBe("not [secret]")
  })
})

test("opencode's own service never sees a create of our form", async () => {
  await using box = await openBox()
  await using legacy = await openLegacyServer()
  const outbox = box.open({ protocols: [rpc, httpJson, legacyRest] })
  const stream = outbox.stream("s", outbox.newRef(legacy.service), { create: { session_id: "ses_1" } })
  put(stream, "msg_1")
  expect(await outbox.flush()).toEqual(settled)
  expect(legacy.requests).toEqual([
    "POST /rpc/share",
    expect.stringMatching(/^GET \/api\/share\/[\w-]+\/grant\?writer_id=[\w-]+$/),
    "POST /api/share",
    "POST /api/share/shr1/sync",
  ])
})

describe("before a service has answered", () => {
  test("a service without the Cap'n Web endpoint is found by HTTP/JSON, in the same attempt", async () => {
    await using box = await openBox()
    box.fates.push(status(404))
    const outbox = box.open({ protocols: [rpc, httpJson, legacyRest] })
    const stream = box.stream(outbox)
    put(stream, "msg_1")
    expect(await outbox.flush()).toEqual(settled)
    expect(box.asked()[0]).toBe("POST /rpc/share")
    expect(stream.status()).toMatchObject({ protocol: "http", posts: 1 })
  })

  test("a refusal with a code decides, even if the create then meets a 404: nobody else is tried", async () => {
    await using box = await openBox()
    box.fates.push(pass, status(404))
    const outbox = box.open({ protocols: [httpJson, legacyRest] })
    const stream = box.stream(outbox)
    put(stream, "msg_1")
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    expect(box.asked()).toEqual(["GET /api/share/:id/grant", "POST /api/share"])
    expect(stream.status().protocol).toBe("http")
  })

  test("a 404 whose body is an error of the contract is an answer of the service: rpc is spoken", async () => {
    await using box = await openBox()
    box.fates.push(error(404, "malformed"))
    const outbox = box.open({ protocols: [rpc, httpJson] })
    put(box.stream(outbox), "msg_1")
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    expect(box.asked()).toEqual(["POST /rpc/share"])
  })
})
