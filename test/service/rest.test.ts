import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { batch_bytes_max, post_overhead_bytes } from "../../src/intent/limit.ts"
import type { Ack } from "../../src/wire/contract.ts"
import { freshId, op, said } from "./box.ts"
import { batchOf, live, overRpc, type Said, serveRest } from "./rest-box.ts"

const short = ({ status, code, body }: Said) => [status, code ?? body.refused]

test("create, grant, ops and removal say what the contract says", async () => {
  await using it = await serveRest()
  const writer_id = freshId(128)
  expect((await it.create()).body).toEqual({
    id: it.ref.share_id,
    url: `${it.service.url}/share/${it.ref.share_id}`,
    secret: it.ref.secret,
  })
  const grant = await it.grant(writer_id)
  expect(grant.status).toBe(200)
  expect(grant.body).toEqual({
    share_id: it.ref.share_id,
    service_id: it.service.service_id,
    epoch: 1,
    scopes: ["read", "append", "admin"],
    cursor: 0,
    head_op_id: null,
    limits: { batch_ops_max: 1000, batch_bytes_max, op_bytes_max: 4 * 1024 * 1024 },
  })
  const batch = batchOf(writer_id)
  const ack = await it.ops(batch, it.ref, { "sturdy-epoch": "1" })
  expect([ack.status, ack.body.batch_id, ack.body.epoch]).toEqual([200, batch.batch_id, 1])
  expect(said(ack.body as unknown as Ack)).toMatchObject({ applied: [batch.ops[0]!.op_id], cursor: 1 })
  expect((await it.grant(writer_id)).body).toMatchObject({ cursor: 1, head_op_id: batch.ops[0]!.op_id })
  expect(JSON.parse((await it.data()).text)).toEqual([{ type: "message", data: { id: "msg_1" } }])
  expect((await it.remove()).body).toEqual({ removed: true })
  expect((await it.data()).status).toBe(410)
})

test("the same create again is the same answer, taken with anything else 409, removed 410 for ever", async () => {
  await using it = await serveRest()
  const [first, again] = [await it.create(), await it.create()]
  expect(again.body).toEqual(first.body)
  const wanted = { ...it.ref, session_id: "ses_1" }
  expect(short(await it.post("/api/share", { ...wanted, secret: freshId() }))).toEqual([409, "share_exists"])
  expect(short(await it.post("/api/share", { ...wanted, session_id: "other" }))).toEqual([409, "share_exists"])
  await it.remove()
  expect(short(await it.create())).toEqual([410, "share_removed"])
})

test("a batch that goes over HTTP/JSON and Cap'n Web in turn is decided once, and one register follows both", async () => {
  await using it = await serveRest()
  await it.create()
  const writer_id = freshId(128)
  const one = batchOf(writer_id)
  const two = batchOf(writer_id, 1, one.ops[0]!.op_id, [op("message.put", [{ id: "msg_2" }]), op("no.such")])
  const answers = [
    (await it.ops(one)).body as unknown as Ack,
    await overRpc(it, one),
    await overRpc(it, two),
    (await it.ops(two)).body as unknown as Ack,
    (await it.ops(one)).body as unknown as Ack,
  ]
  const [a, b, bad] = [one.ops[0]!.op_id, two.ops[0]!.op_id, [two.ops[1]!.op_id, "unknown_method"]]
  expect(answers.map(said)).toEqual([
    { applied: [a], duplicates: [], rejected: [], cursor: 1 },
    { applied: [], duplicates: [a], rejected: [], cursor: 1 },
    { applied: [b], duplicates: [], rejected: [bad], cursor: 3 },
    { applied: [], duplicates: [b], rejected: [bad], cursor: 3 },
    { applied: [], duplicates: [a], rejected: [], cursor: 3 },
  ])
  expect(it.rows("applied")).toBe(2)
  expect(it.events.filter(({ name }) => name === "batch")).toHaveLength(5)
})

test("two requests at once with one batch: one decides, the other is told the same", async () => {
  await using it = await serveRest()
  await it.create()
  const batch = batchOf(freshId(128))
  const answers = await Promise.all(Array.from({ length: 8 }, () => it.ops(batch)))
  expect(answers.filter(({ body }) => (body.applied as string[]).length === 1)).toHaveLength(1)
  expect(answers.filter(({ body }) => (body.duplicates as string[]).length === 1)).toHaveLength(7)
})

test("refusals of ops are answers of status 200, those of the capability too", async () => {
  await using it = await serveRest()
  await it.create()
  const writer_id = freshId(128)
  const one = batchOf(writer_id)
  await it.ops(one)
  const refused = async (answer: Promise<Said>) => {
    const { status, body } = await answer
    const { refused, message, ...more } = body
    return [status, refused, typeof message, more]
  }
  const register = { cursor: 1, head_op_id: one.ops[0]!.op_id }
  expect(await refused(it.ops(batchOf(writer_id)))).toEqual([200, "gap", "string", register])
  const reset = { ...batchOf(writer_id, 1, one.ops[0]!.op_id), settled_op_id: op("x").op_id }
  expect(await refused(it.ops(reset))).toEqual([200, "server_reset", "string", register])
  expect(await refused(it.ops({}))).toEqual([200, "malformed", "string", {}])
  const many = Array.from({ length: 1001 }, () => op("no.such"))
  expect(await refused(it.ops(batchOf(writer_id, 1, null, many)))).toEqual([200, "too_large", "string", {}])
  const unknown = [200, "share_unknown", "string", {}]
  expect(await refused(it.ops(one, { ...it.ref, secret: freshId() }))).toEqual(unknown)
  expect(await refused(it.ops(one, { ...it.ref, share_id: freshId() }))).toEqual(unknown)
  const child = (scopes: string[], expires_at?: number) =>
    live(it, it.ref.secret, (share) => share.attenuate({ scopes, ...(expires_at && { expires_at }) }))
  const [reader, expired, dead] = [await child(["read"]), await child(["append"], 1), await child(["append"])]
  expect(await refused(it.ops(one, { ...it.ref, ...reader }))).toEqual([200, "scope_denied", "string", {}])
  expect(await refused(it.ops(one, { ...it.ref, ...expired }))).toEqual([200, "expired", "string", {}])
  await live(it, it.ref.secret, (share) => share.revokeCapability({ capability_id: dead.capability_id }))
  expect(await refused(it.ops(one, { ...it.ref, ...dead }))).toEqual([200, "revoked", "string", {}])
  await it.remove()
  expect(await refused(it.ops(one))).toEqual([200, "share_removed", "string", {}])
})

test("Sturdy-Epoch of another epoch is refused stale_epoch with the epoch of now; without it the epoch of now counts", async () => {
  await using it = await serveRest()
  await it.create()
  await live(it, it.ref.secret, (share) => share.revokeCapability({}))
  const batch = batchOf(freshId(128))
  const at = (epoch: string) => it.ops(batch, it.ref, { "sturdy-epoch": epoch })
  expect((await at("1")).body).toEqual({ refused: "stale_epoch", message: "redeemed at epoch 1", epoch: 2 })
  expect((await at("7")).body).toMatchObject({ refused: "stale_epoch", epoch: 2 })
  for (const wrong of ["", "one", "-1", "1.5", "9".repeat(30)])
    expect(short(await at(wrong))).toEqual([400, "malformed"])
  expect(short(await it.remove(it.ref, { "sturdy-epoch": "1" }))).toEqual([403, "stale_epoch"])
  expect(it.rows("op")).toBe(0)
  expect((await at("2")).body.applied).toHaveLength(1)
  expect((await it.ops(batch)).body.duplicates).toHaveLength(1)
})

test("what a secret cannot redeem is an error with the status of its code", async () => {
  await using it = await serveRest()
  await it.create()
  const writer_id = freshId(128)
  const child = (scopes: string[], expires_at?: number) =>
    live(it, it.ref.secret, (share) => share.attenuate({ scopes, ...(expires_at && { expires_at }) }))
  const [appender, expired] = [await child(["append"]), await child(["append"], 1)]
  expect((await it.grant(writer_id, { ...it.ref, ...appender })).body).toMatchObject({ scopes: ["append"] })
  expect(short(await it.remove({ ...it.ref, ...appender }))).toEqual([403, "scope_denied"])
  expect(short(await it.grant(writer_id, { ...it.ref, ...expired }))).toEqual([403, "expired"])
  expect(short(await it.grant("short"))).toEqual([400, "malformed"])
  expect(
    short(await it.ask("GET", `/api/share/${it.ref.share_id}/grant`, { headers: it.bearer(it.ref.secret) })),
  ).toEqual([400, "malformed"])
  const secret = freshId()
  await live(it, it.ref.secret, (share) => share.rotateSecret({ secret }))
  expect(short(await it.grant(writer_id))).toEqual([403, "revoked"])
  expect(short(await it.remove())).toEqual([403, "revoked"])
  expect((await it.grant(writer_id, { ...it.ref, secret })).body).toMatchObject({ epoch: 2 })
  await it.remove({ ...it.ref, secret })
  expect(short(await it.grant(writer_id, { ...it.ref, secret }))).toEqual([410, "share_removed"])
})

test("a wrong secret, an unknown share and no secret at all are told alike, word for word", async () => {
  await using it = await serveRest()
  await it.create()
  const path = `/api/share/${it.ref.share_id}`
  const asks: [verb: string, path: string][] = [
    ["GET", `${path}/grant?writer_id=${freshId(128)}`],
    ["POST", `${path}/ops`],
    ["DELETE", path],
  ]
  const headers: Record<string, string>[] = [
    { authorization: `Bearer ${freshId()}` },
    { authorization: "Bearer x" },
    { authorization: "Bearer" },
    { authorization: `Basic ${it.ref.secret}` },
    { authorization: `Bearer ${it.ref.secret} ${it.ref.secret}` },
    { authorization: it.ref.secret },
  ]
  for (const [verb, at] of asks) {
    const body = verb === "POST" ? JSON.stringify(batchOf(freshId(128))) : null
    const texts = new Set<string>()
    for (const header of headers) texts.add((await it.ask(verb, at, { headers: header, body })).text)
    texts.add(
      (await it.ask(verb, at.replace(it.ref.share_id, freshId()), { headers: it.bearer(it.ref.secret), body })).text,
    )
    texts.add((await it.ask(verb, at.replace(it.ref.share_id, "x"), { headers: it.bearer(it.ref.secret), body })).text)
    if (verb !== "DELETE") texts.add((await it.ask(verb, at, { body })).text)
    expect([...texts]).toHaveLength(1)
    expect([...texts][0]).toContain("share_unknown")
  }
  expect((await it.grant(freshId(128))).status).toBe(200)
})

test("removing is safe to repeat, with every secret that could remove, and 404 with a wrong one", async () => {
  await using it = await serveRest()
  await it.create()
  const admin = await live(it, it.ref.secret, (share) => share.attenuate({ scopes: ["admin"] }))
  const reader = await live(it, it.ref.secret, (share) => share.attenuate({ scopes: ["read"] }))
  for (let times = 0; times < 3; times++) expect((await it.remove()).body).toEqual({ removed: true })
  expect((await it.remove({ ...it.ref, ...admin })).body).toEqual({ removed: true })
  expect(short(await it.remove({ ...it.ref, ...reader }))).toEqual([410, "share_removed"])
  expect(short(await it.remove({ ...it.ref, secret: freshId() }))).toEqual([404, "share_unknown"])
})

test("whatever is no input gets a code and changes nothing", async () => {
  await using it = await serveRest()
  await it.create()
  const ops = `/api/share/${it.ref.share_id}/ops`
  const auth = it.bearer(it.ref.secret)
  const bad: unknown[] = ["", "nonsense", "[", "[".repeat(60_000), "null", "5", "[]", '"ses_1"', {}]
  const noShare = [
    ...bad,
    { sessionID: 5 },
    { sessionID: "" },
    { sessionID: { ...it.ref, session_id: "x" } },
    { share_id: freshId() },
    { share_id: "short", secret: freshId(), session_id: "s" },
    { share_id: freshId(), secret: freshId(), session_id: "" },
    { share_id: null, sessionID: "ses_1" },
  ]
  for (const body of noShare) expect(short(await it.post("/api/share", body))).toEqual([400, "malformed"])
  for (const body of bad.slice(0, 4)) expect(short(await it.post(ops, body, auth))).toEqual([400, "malformed"])
  for (const body of bad.slice(4)) expect(short(await it.post(ops, body, auth))).toEqual([200, "malformed"])
  for (const path of ["/api/share", ops]) {
    expect(short(await it.ask("POST", path, { body: new Uint8Array([0x22, 0xff, 0x22]), headers: auth }))).toEqual([
      415,
      "malformed",
    ])
    expect(short(await it.post(path, "{}", { ...auth, "content-encoding": "gzip" }))).toEqual([415, "malformed"])
  }
  expect([it.rows("share"), it.rows("op"), it.rows("writer")]).toEqual([1, 0, 0])
  expect(it.events.filter(({ name }) => name === "failure")).toEqual([])
})

test("a body over what a batch may have is 413, one over the batch's own limit a refusal", async () => {
  await using it = await serveRest({ limits: { batch_bytes_max: 1024 * 1024, op_bytes_max: 256 * 1024 } })
  await it.create()
  const ops = (bytes: number) => [op("no.such", ["x".repeat(bytes)])]
  const over = batchOf(freshId(128), 0, null, ops(1024 * 1024))
  expect((await it.ops(over)).body).toMatchObject({ refused: "too_large" })
  const far = batchOf(freshId(128), 0, null, ops(1024 * 1024 + post_overhead_bytes))
  expect(short(await it.ops(far))).toEqual([413, "too_large"])
  const session_id = "s".repeat(post_overhead_bytes)
  expect(short(await it.post("/api/share", { ...it.ref, session_id }))).toEqual([413, "too_large"])
  expect(it.rows("op")).toBe(0)
})

test("a batch of the largest size goes through", async () => {
  await using it = await serveRest()
  await it.create()
  const big = Array.from({ length: 2 }, () => op("no.such", ["x".repeat(batch_bytes_max / 2 - 1000)]))
  expect((await it.ops(batchOf(freshId(128), 0, null, big))).body.cursor).toBe(2)
})

test("other verbs are 405 with what is allowed, other paths 404", async () => {
  await using it = await serveRest()
  const id = freshId(128)
  const verbs: [verb: string, path: string, allow: string][] = [
    ["GET", "/api/share", "POST"],
    ["OPTIONS", "/api/share", "POST"],
    ["POST", `/api/share/${id}`, "DELETE"],
    ["GET", `/api/share/${id}`, "DELETE"],
    ["POST", `/api/share/${id}/grant`, "GET"],
    ["HEAD", `/api/share/${id}/grant`, "GET"],
    ["GET", `/api/share/${id}/ops`, "POST"],
    ["PUT", `/api/share/${id}/ops`, "POST"],
  ]
  for (const [verb, path, allow] of verbs) {
    const { status, headers } = await it.ask(verb, path)
    expect([verb, path, status, headers.get("allow")]).toEqual([verb, path, 405, allow])
  }
  for (const path of ["/api", "/api/share/", `/api/share/${id}/`, `/api/share/${id}/ops/x`, `/api/share/${id}/nothing`])
    expect(short(await it.ask("POST", path))).toEqual([404, "not_found"])
})

test("answers are JSON, never cached, open to no other origin, and each request is observed once", async () => {
  await using it = await serveRest()
  const writer_id = freshId(128)
  const batch = batchOf(writer_id)
  const answers = [
    await it.create(),
    await it.grant(writer_id),
    await it.ops(batch),
    await it.ops({}),
    await it.remove(),
  ]
  answers.push(await it.grant(writer_id))
  for (const { headers } of answers)
    expect(["content-type", "cache-control", "access-control-allow-origin"].map((name) => headers.get(name))).toEqual([
      expect.stringMatching(/^application\/json/),
      "no-store",
      null,
    ])
  const path = `/api/share/${it.ref.share_id}`
  const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value))
  expect(it.events.filter(({ name }) => name === "request")).toEqual(
    [
      ["POST", "/api/share", 200, bytes({ ...it.ref, session_id: "ses_1" })],
      ["GET", `${path}/grant`, 200, 0],
      ["POST", `${path}/ops`, 200, bytes(batch)],
      ["POST", `${path}/ops`, 200, 2],
      ["DELETE", path, 200, 0],
      ["GET", `${path}/grant`, 410, 0],
    ].map(([method, path, status, bytes]) => ({ name: "request", method, path, status, bytes }) as never),
  )
})

test("a handler's failure is 500 without its words", async () => {
  await using it = await serveRest({
    methods: { fail: (context) => context.sql.run(`INSERT INTO secret_table VALUES ('SECRET')`) },
  })
  await it.create()
  const failed = await it.ops(batchOf(freshId(128), 0, null, [op("fail")]))
  expect([failed.status, failed.body]).toEqual([
    500,
    { error: { code: "internal", message: "the server failed; nothing was done", service_id: it.service.service_id } },
  ])
  expect(it.events.filter(({ name }) => name === "failure")).toHaveLength(1)
  expect(it.rows("op")).toBe(0)
})

test("while the database is locked ops are refused busy, and everything that writes is 503 with Retry-After", async () => {
  await using it = await serveRest()
  await it.create()
  using other = new Database(it.file)
  other.run("BEGIN IMMEDIATE")
  const batch = batchOf(freshId(128))
  expect((await it.ops(batch)).body).toMatchObject({ refused: "busy", retry_after_ms: 250 })
  const created = await it.post("/api/share", { sessionID: "ses_1" })
  expect([short(created), created.headers.get("retry-after")]).toEqual([[503, "busy"], "1"])
  expect(short(await it.remove())).toEqual([503, "busy"])
  expect((await it.grant(freshId(128))).status).toBe(200)
  other.run("ROLLBACK")
  expect((await it.ops(batch)).body.applied).toHaveLength(1)
})

test("a body that is answered without being read keeps nobody waiting, the server that stops neither", async () => {
  await using it = await serveRest()
  const statuses: number[] = []
  for (const path of ["/api/share", "/nothing", "/api/share/x/grant"])
    statuses.push((await it.post(path, "x".repeat(2_000_000))).status)
  expect(statuses).toEqual([413, 404, 405])
  const start = performance.now()
  await it.service.stop()
  // Bun 1.4.5 took 12 s.
  expect(performance.now() - start).toBeLessThan(5_000)
})

test("no secret is in an error, a refusal, an Ack or an event, wherever it was put", async () => {
  await using it = await serveRest()
  await it.create()
  const [wrong, other] = [freshId(), freshId()]
  const holding = op("no.such", [it.ref.secret], { actor_id: it.ref.secret })
  const batch = batchOf(freshId(128), 0, null, [holding])
  const at = `/api/share/${it.ref.share_id}`
  const answers = [
    await it.post("/api/share", { ...it.ref, secret: wrong, session_id: "ses_1" }),
    await it.post("/api/share", { share_id: freshId(), secret: other }),
    await it.post("/api/share", { share_id: other, secret: `${wrong}%`, session_id: "s" }),
    await it.post("/api/share", `{"secret":"${wrong}"`),
    await it.grant("short"),
    await it.grant(freshId(128), { ...it.ref, secret: wrong }),
    await it.grant(it.ref.secret, { ...it.ref, secret: wrong }),
    await it.ops({ ...batch, expected_cursor: -1 }),
    await it.ops({ ...batch, settled_op_id: holding.op_id }),
    await it.ops(batch, it.ref, { "sturdy-epoch": it.ref.secret }),
    await it.ops(batch, { ...it.ref, secret: wrong }),
    await it.ops(batch),
    await it.ask("PUT", at, { headers: it.bearer(it.ref.secret) }),
    await it.remove({ ...it.ref, secret: wrong }),
    await it.remove(),
    await it.remove(),
    await it.ops(batch),
  ]
  for (const { text } of answers) for (const secret of [it.ref.secret, wrong, other]) expect(text).not.toContain(secret)
  const events = it.events.filter(({ name }) => name !== "batch")
  for (const secret of [it.ref.secret, wrong, other]) expect(JSON.stringify(events)).not.toContain(secret)
})
