import { expect, test } from "bun:test"
import { newHttpBatchRpcSession, type RpcStub } from "capnweb"
import { post_bytes_max } from "../../src/intent/limit.ts"
import { type ServeOptions, serveShareService } from "../../src/service/bun.ts"
import type { ServiceEvent } from "../../src/service/core.ts"
import type { AppendBatch, ShareService } from "../../src/wire/contract.ts"
import { freshId, nextId, op, said, tempDir } from "./box.ts"

async function serve(options: Partial<ServeOptions> = {}) {
  const dir = tempDir()
  const events: ServiceEvent[] = []
  const service = serveShareService({ file: dir.file, observe: (event) => events.push(event), ...options })
  const rpc = `${service.url}/rpc/share`
  return {
    dir,
    events,
    service,
    rpc,
    ref: { share_id: freshId(128), secret: freshId() },
    writer_id: freshId(128),
    /** One POST. */
    session: (): RpcStub<ShareService> => newHttpBatchRpcSession<ShareService>(rpc),
    post: (body: BodyInit, headers: Record<string, string> = {}) => fetch(rpc, { method: "POST", body, headers }),
    requests: () => events.filter((event) => event.name === "request"),
    async [Symbol.asyncDispose]() {
      await service.stop()
      await dir[Symbol.asyncDispose]()
    },
  }
}

function batch(writer_id: string, cursor: number, head: string | null, ops = [op("message.put", [{ id: "msg_1" }])]) {
  return {
    writer_id,
    batch_id: nextId(),
    expected_cursor: cursor,
    expected_head_op_id: head,
    settled_op_id: null,
    ops,
  } satisfies AppendBatch
}

function failureOf(promise: PromiseLike<unknown>) {
  return Promise.resolve(promise).then(
    () => "no error",
    (error: Error & { code?: unknown }) => [error.code, error.message],
  )
}

test("a refusal says whose word it is, as the grant does", async () => {
  await using it = await serve()
  const { ref, writer_id, service } = it
  const refused = (promise: PromiseLike<unknown>) =>
    Promise.resolve(promise).catch((error: Error & { code?: unknown; service_id?: unknown }) => [
      error.code,
      error.service_id,
    ])
  expect(await refused(it.session().redeemShare({ ...ref, writer_id }))).toEqual(["share_unknown", service.service_id])
  await it.session().createShare({ ...ref, session_id: "ses_1" })
  expect(await refused(it.session().createShare({ ...ref, session_id: "ses_2" }))).toEqual([
    "share_exists",
    service.service_id,
  ])
  expect(await it.session().redeemShare({ ...ref, writer_id })).toMatchObject({ service_id: service.service_id })
})

test("create, redeem and a window of batches go in one POST, in order", async () => {
  await using it = await serve()
  const api = it.session()
  const one = batch(it.writer_id, 0, null)
  const two = batch(it.writer_id, 1, one.ops[0]!.op_id)
  const three = batch(it.writer_id, 2, two.ops[0]!.op_id)
  const created = api.createShare({ ...it.ref, session_id: "ses_1" })
  const grant = api.redeemShare({ ...it.ref, writer_id: it.writer_id })
  const acks = [one, two, three].map((batch) => grant.share.appendOps(batch))
  const [{ url }, ...answers] = await Promise.all([created, ...acks])
  expect(url).toBe(`${it.service.url}/share/${it.ref.share_id}`)
  expect(answers.map((ack) => said(ack))).toMatchObject([
    { applied: [one.ops[0]!.op_id], cursor: 1 },
    { applied: [two.ops[0]!.op_id], cursor: 2 },
    { applied: [three.ops[0]!.op_id], cursor: 3 },
  ])
  expect(it.requests()).toHaveLength(1)
  const data = await fetch(`${it.service.url}/api/share/${it.ref.share_id}/data`)
  expect(await data.json()).toEqual([{ type: "message", data: { id: "msg_1" } }])
})

test("calls that wait for an earlier result run before the lines after them", async () => {
  await using it = await serve()
  const api = it.session()
  const rotated = freshId()
  const redeem = (secret: string) => api.redeemShare({ ...it.ref, secret, writer_id: it.writer_id })
  const created = api.createShare({ ...it.ref, session_id: "ses_1" })
  const first = redeem(it.ref.secret)
  const ack = first.share.appendOps(batch(it.writer_id, 0, null))
  const again = redeem(it.ref.secret)
  const epoch = first.share.rotateSecret({ secret: rotated })
  const old = failureOf(redeem(it.ref.secret))
  const renewed = redeem(rotated)
  const removed = renewed.share.removeShare()
  const late = failureOf(api.createShare({ ...it.ref, session_id: "ses_1" }))
  const answers = await Promise.all([created, ack, again.cursor, epoch, old, removed, late])
  expect(answers.slice(1)).toMatchObject([
    { cursor: 1 },
    1,
    { epoch: 2 },
    ["revoked", expect.any(String)],
    { removed: true },
    ["share_removed", expect.any(String)],
  ])
})

test("a call whose arguments wait for an earlier result is done before the line after it is read", async () => {
  await using it = await serve()
  const api = it.session()
  const created = api.createShare({ ...it.ref, session_id: "ses_1" })
  const root = api.redeemShare({ ...it.ref, writer_id: it.writer_id })
  const child = root.share.attenuate({ scopes: ["append", "admin"] })
  const redeem = (secret: Promise<string>) =>
    api.redeemShare({ share_id: it.ref.share_id, secret: secret as unknown as string, writer_id: it.writer_id })
  const grandchild = redeem(child.secret as unknown as Promise<string>).share.attenuate({ scopes: ["append"] })
  const grant = redeem(grandchild.secret as unknown as Promise<string>)
  const ack = grant.share.appendOps(batch(it.writer_id, 0, null))
  const page = root.share.readShare({})
  const answers = await Promise.all([created, ack, page])
  expect(answers[2].ops).toHaveLength(1)
})

test("a chain of calls deeper than any window stays in order", async () => {
  await using it = await serve()
  const api = it.session()
  const created = api.createShare({ ...it.ref, session_id: "ses_1" })
  const cursors: PromiseLike<number>[] = []
  const acks: PromiseLike<unknown>[] = []
  let head: string | null = null
  for (let n = 0; n < 100; n++) {
    const grant = api.redeemShare({ ...it.ref, writer_id: it.writer_id })
    cursors.push(grant.cursor)
    const next = batch(it.writer_id, n, head)
    acks.push(grant.share.appendOps(next))
    head = next.ops[0]!.op_id
  }
  const answers = await Promise.all([created, ...acks, ...cursors])
  expect(answers.slice(101)).toEqual(Array.from({ length: 100 }, (_, n) => n))
})

test("errors keep their code across the wire, and no stack of the server", async () => {
  await using it = await serve()
  const error = await Promise.resolve(it.session().redeemShare({ ...it.ref, writer_id: it.writer_id })).catch(
    (error: Error & { code?: unknown }) => error,
  )
  expect(error).toMatchObject({ code: "share_unknown" })
  expect(JSON.stringify(error)).not.toContain(it.ref.secret)
  expect(await failureOf(it.session().syncShare("x", "y", []))).toEqual(["share_unknown", expect.any(String)])
  const raw = await (await it.post('["push",["pipeline",0,["redeemShare"],[{}]]]\n["pull",1]')).text()
  expect(raw).not.toContain("at ")
})

test("only the contract's methods can be called", async () => {
  await using it = await serve()
  for (const name of ["constructor", "hasOwnProperty", "nothing", "core", "#core", "__proto__"]) {
    const response = await it.post(`["push",["pipeline",0,["${name}"],[]]]\n["pull",1]`)
    expect(await response.text()).toMatch(/^\["reject",1,\["error"/)
  }
})

test("a handler's failure is internal, without its words", async () => {
  await using it = await serve({
    methods: {
      fail: (context) => context.sql.run(`INSERT INTO secret_table VALUES ('SECRET')`),
    },
  })
  const api = it.session()
  const created = api.createShare({ ...it.ref, session_id: "ses_1" })
  const grant = api.redeemShare({ ...it.ref, writer_id: it.writer_id })
  const failed = failureOf(grant.share.appendOps(batch(it.writer_id, 0, null, [op("fail")])))
  await Promise.all([created, failed])
  expect(await failed).toEqual(["internal", "the server failed; nothing was done"])
  expect(it.events.filter(({ name }) => name === "failure")).toHaveLength(1)
})

test("each POST is counted, and each decided batch is seen with its answer", async () => {
  await using it = await serve()
  const one = batch(it.writer_id, 0, null)
  for (let times = 0; times < 3; times++) {
    const api = it.session()
    const created = api.createShare({ ...it.ref, session_id: "ses_1" })
    const grant = api.redeemShare({ ...it.ref, writer_id: it.writer_id })
    const ack = grant.share.appendOps(one)
    await Promise.all([created, ack])
  }
  expect(it.requests()).toHaveLength(3)
  const batches = it.events.filter((event) => event.name === "batch")
  expect(batches.map(({ share_id, answer }) => [share_id === it.ref.share_id, said(answer)])).toMatchObject([
    [true, { applied: [one.ops[0]!.op_id] }],
    [true, { duplicates: [one.ops[0]!.op_id] }],
    [true, { duplicates: [one.ops[0]!.op_id] }],
  ])
  expect(JSON.stringify(it.events)).not.toContain(it.ref.secret)
})

test("a body of 16 MiB is read, one byte more is 413", async () => {
  await using it = await serve()
  const line = (bytes: number) => `["push",["pipeline",0,["createShare"],["${"x".repeat(bytes - 40)}"]]]`
  const exact = line(post_bytes_max - (line(1000).length - 1000))
  expect(exact.length).toBe(post_bytes_max)
  expect((await it.post(exact)).status).toBe(200)
  const over = await it.post(`${exact} `)
  expect([over.status, await over.json()]).toMatchObject([413, { error: { code: "too_large" } }])
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`${exact} `))
      controller.close()
    },
  })
  // A length that is not announced is Bun's to count; 1.3.14 says 431.
  expect([413, 431]).toContain((await it.post(stream)).status)
})

test("a POST that is not of the protocol is refused, whatever it is", async () => {
  await using it = await serve()
  const status = async (body: BodyInit, headers?: Record<string, string>) => (await it.post(body, headers)).status
  expect(await status("nonsense")).toBe(400)
  expect(await status('{"ok":true}')).toBe(400)
  expect(await status('["push"]')).toBe(400)
  expect(await status("[".repeat(1_000_000))).toBe(400)
  expect(await status(new Uint8Array([0xff, 0xfe]))).toBe(415)
  expect(await status("x", { "content-encoding": "gzip" })).toBe(415)
  expect(await status(`${"[]\n".repeat(10_001)}`)).toBe(413)
  expect(await status("")).toBe(200)
  expect(await status('["push",["pipeline",0,["createShare"],["ses_1"]]]\n["pull",1]\n')).toBe(200)
})

test("other paths are 404 and other verbs 405, as JSON", async () => {
  await using it = await serve()
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`${it.service.url}${path}`, { method })
    const body = (await response.json()) as { error?: { code: string }; ok?: boolean; name?: string }
    return [response.status, body.error?.code ?? body.ok ?? body.name]
  }
  expect([
    await get("/"),
    await get("/health"),
    await get("/nothing"),
    await get("/rpc/share/more"),
    await get("/rpc/share"),
    await get("/health", "POST"),
    await get(`/api/share/${it.ref.share_id}/data`, "DELETE"),
  ]).toEqual([
    [200, "sturdy share service"],
    [200, true],
    [404, "not_found"],
    [404, "not_found"],
    [405, "method_not_allowed"],
    [405, "method_not_allowed"],
    [405, "method_not_allowed"],
  ])
})

test("a service that was stopped and started again on its file keeps everything", async () => {
  await using dir = tempDir()
  const ref = { share_id: freshId(128), secret: freshId() }
  const writer_id = freshId(128)
  const one = batch(writer_id, 0, null)
  const run = async () => {
    await using service = serveShareService({ file: dir.file })
    const api = newHttpBatchRpcSession<ShareService>(`${service.url}/rpc/share`)
    const created = api.createShare({ ...ref, session_id: "ses_1" })
    const grant = api.redeemShare({ ...ref, writer_id })
    const ack = grant.share.appendOps(one)
    const [, facts, answer] = await Promise.all([created, grant, ack])
    return [service.service_id, facts.service_id, facts.cursor, said(answer)]
  }
  const [first, second] = [await run(), await run()]
  const op_ids = [one.ops[0]!.op_id]
  expect(first).toEqual([first[0]!, first[0]!, 0, { applied: op_ids, duplicates: [], rejected: [], cursor: 1 }])
  expect(second).toEqual([first[0]!, first[0]!, 1, { applied: [], duplicates: op_ids, rejected: [], cursor: 1 }])
})

test("urls of shares take the origin that the service was given", async () => {
  await using it = await serve({ url: "https://share.example" })
  expect((await it.session().createShare("ses_1")).url).toStartWith("https://share.example/share/")
})
