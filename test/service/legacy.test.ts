/** opencode 1.18's own share client: create, sync, data, removal, beside ops on the same share. */
import { expect, test } from "bun:test"
import { mkdtempSync } from "node:fs"
import { join } from "node:path"
import { openOutbox } from "../../src/index.ts"
import { freshId, op } from "./box.ts"
import { batchOf, live, type RestBox, type Said, serveRest } from "./rest-box.ts"

const short = ({ status, code }: Said) => [status, code]
const message = (n: number, more = {}) => ({ id: `msg_${n}`, sessionID: "ses_1", role: "user", ...more })
const part = (n: number, of: number, text = "text") => ({ id: `prt_${n}`, messageID: `msg_${of}`, text })
const model = (id: string, providerID: string) => ({ id, providerID })

async function legacyShare(it: RestBox) {
  const { body } = await it.post("/api/share", { sessionID: "ses_1" })
  const { id, url, secret } = body as { id: string; url: string; secret: string }
  const path = `/api/share/${id}`
  return {
    id,
    url,
    secret,
    ref: { share_id: id, secret },
    path,
    sync: (data: unknown, other = secret) => it.post(`${path}/sync`, { secret: other, data }),
    data: async () => JSON.parse((await it.data(id)).text) as { type: string; data: unknown }[],
    remove: (other: unknown = secret) => it.ask("DELETE", path, { body: JSON.stringify({ secret: other }) }),
  }
}

test("create, sync, data and removal, as opencode 1.18 speaks them", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  expect(share.url).toBe(`${it.service.url}/share/${share.id}`)
  const session = { id: "ses_1", title: "A session", 2: "two", z: [null, 0.1] }
  const first = await share.sync([
    { type: "session", data: session },
    { type: "session_diff", data: [{ file: "a.ts" }] },
    { type: "model", data: [model("a1", "a"), model("b1", "b"), model("a2", "a")] },
    { type: "message", data: message(1) },
    { type: "part", data: part(1, 1) },
  ])
  expect([first.status, first.body]).toEqual([200, {}])
  expect(await share.data()).toEqual([
    { type: "session", data: session },
    { type: "message", data: message(1) },
    { type: "part", data: part(1, 1) },
    { type: "session_diff", data: [{ file: "a.ts" }] },
    { type: "model", data: [model("a1", "a"), model("a2", "a"), model("b1", "b")] },
  ])
  await share.sync([
    { type: "part", data: part(1, 1, "new") },
    { type: "part", data: part(2, 1) },
    { type: "session_diff", data: [] },
    { type: "model", data: [model("a3", "a")] },
  ])
  expect(await share.data()).toEqual([
    { type: "session", data: session },
    { type: "message", data: message(1) },
    { type: "part", data: part(1, 1, "new") },
    { type: "part", data: part(2, 1) },
    { type: "session_diff", data: [] },
    { type: "model", data: [model("a3", "a"), model("b1", "b")] },
  ])
  expect((await share.remove()).body).toEqual({ removed: true })
  expect((await it.data(share.id)).status).toBe(410)
})

test("what ops wrote or removed a later sync leaves as it is, the rest it takes", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  const both = [message(1), message(2), message(3)].map((data) => ({ type: "message", data }))
  await share.sync([...both, { type: "part", data: part(1, 1) }, { type: "part", data: part(2, 2) }])
  const writer_id = freshId(128)
  const ops = [
    op("message.put", [message(1, { role: "op" })]),
    op("message.remove", [{ id: "msg_2" }]),
    op("part.remove", [{ id: "prt_1", message_id: "msg_1" }]),
    op("part.put", [part(3, 1, "op")]),
    op("session_diff.put", [{ diff: ["op"] }]),
    op("model.put", [{ provider_id: "a", models: [{ id: "op" }] }]),
    op("session.put", [{ id: "ses_1", title: "op" }]),
  ]
  expect((await it.ops(batchOf(writer_id, 0, null, ops), share.ref)).body.applied).toHaveLength(ops.length)
  const shown = [
    { type: "session", data: { id: "ses_1", title: "op" } },
    { type: "message", data: message(1, { role: "op" }) },
    { type: "message", data: message(3) },
    { type: "part", data: part(3, 1, "op") },
    { type: "session_diff", data: ["op"] },
    { type: "model", data: [{ id: "op" }] },
  ]
  expect(await share.data()).toEqual(shown)
  const late = await share.sync([
    { type: "session", data: { id: "ses_1", title: "late" } },
    ...both,
    { type: "part", data: part(1, 1) },
    { type: "part", data: part(2, 2) },
    { type: "part", data: part(3, 1) },
    { type: "part", data: part(4, 2) },
    { type: "session_diff", data: ["late"] },
    { type: "model", data: [model("late", "a"), model("b1", "b")] },
    { type: "part", data: part(5, 3) },
    { type: "message", data: message(3, { role: "late" }) },
  ])
  expect(late.status).toBe(200)
  expect(await share.data()).toEqual([
    shown[0]!,
    shown[1]!,
    { type: "message", data: message(3, { role: "late" }) },
    shown[3]!,
    { type: "part", data: part(5, 3) },
    shown[4]!,
    { type: "model", data: [{ id: "op" }, model("b1", "b")] },
  ])
})

test("syncShare over Cap'n Web leads to the same items, and counts the entries of known types", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  const data = [
    { type: "message", data: message(1) },
    { type: "message", data: message(1, { role: "later" }) },
    { type: "turn", data: { message_id: "msg_1", state: "completed" } },
    { type: "messages", data: null },
    { type: "newer" } as { type: string; data: unknown },
    { type: "model", data: [] },
  ]
  expect(await it.rpc().syncShare(share.id, share.secret, data)).toMatchObject({ success: true, syncCount: 3 })
  expect(await share.data()).toEqual([{ type: "message", data: message(1, { role: "later" }) }])
  const refused = async (...input: unknown[]) =>
    await (it.rpc() as unknown as { syncShare(...input: unknown[]): Promise<unknown> })
      .syncShare(...input)
      .catch((error: { code?: unknown }) => error.code)
  expect(await refused(share.id, freshId(), data)).toBe("share_unknown")
  expect(await refused(share.id, share.secret, {})).toBe("malformed")
  expect(await refused(share.id, share.secret, [{ type: "message", data: { id: "msg_1", big: 10n } }])).toBe(
    "malformed",
  )
  expect(await refused(5, share.secret, [])).toBe("malformed")
  expect(await refused()).toBe("malformed")
})

test("a sync that is not of the form changes nothing, and says where", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  const good = { type: "message", data: message(1) }
  const bad: [data: unknown, at: string][] = [
    [undefined, "data"],
    [{}, "data"],
    [null, "data"],
    [[good, null], "data.1"],
    [[good, "message"], "data.1"],
    [[good, { data: message(2) }], "data.1.type"],
    [[good, { type: 5, data: message(2) }], "data.1.type"],
    [[good, { type: "message" }], "data.1.data.id"],
    [[good, { type: "message", data: null }], "data.1.data.id"],
    [[good, { type: "message", data: { id: 5 } }], "data.1.data.id"],
    [[good, { type: "message", data: { id: "" } }], "data.1.data.id"],
    [[good, { type: "session", data: { id: "a\u0000b" } }], "data.1.data.id"],
    [[good, { type: "part", data: { id: "prt_1" } }], "data.1.data.messageID"],
    [[good, { type: "part", data: { id: "x".repeat(300), messageID: "msg_1" } }], "data.1.data.id"],
    [[good, { type: "session_diff", data: {} }], "data.1.data"],
    [[good, { type: "model", data: {} }], "data.1.data"],
    [[good, { type: "model", data: [{ id: "a1" }] }], "data.1.data.0.providerID"],
  ]
  for (const [data, at] of bad) {
    const said = await share.sync(data)
    expect([at, said.status, said.body]).toEqual([
      at,
      400,
      { error: { code: "malformed", message: `malformed: ${at}`, service_id: it.service.service_id } },
    ])
  }
  for (const body of ["", "nonsense", "[]", "null"])
    expect(short(await it.post(`${share.path}/sync`, body))).toEqual([400, "malformed"])
  expect(short(await it.post(`${share.path}/sync`, { data: [good] }))).toEqual([400, "malformed"])
  expect(short(await it.post(`${share.path}/sync`, { data: [good] }, it.bearer(share.secret)))).toEqual([
    400,
    "malformed",
  ])
  expect(short(await it.ask("GET", `${share.path}/sync`))).toEqual([405, "method_not_allowed"])
  expect(await share.data()).toEqual([])
})

test("who may not append may not sync: a wrong secret 404, read-only and expired 403, removed 410", async () => {
  await using it = await serveRest()
  await it.create()
  const sync = (secret: string, id = it.ref.share_id) =>
    it.post(`/api/share/${id}/sync`, { secret, data: [{ type: "message", data: message(1) }] })
  const child = (scopes: string[], expires_at?: number) =>
    live(it, it.ref.secret, (share) => share.attenuate({ scopes, ...(expires_at && { expires_at }) }))
  expect(short(await sync(freshId()))).toEqual([404, "share_unknown"])
  expect(short(await sync("x"))).toEqual([404, "share_unknown"])
  expect(short(await sync(it.ref.secret, freshId()))).toEqual([404, "share_unknown"])
  expect(short(await sync((await child(["read", "admin"])).secret))).toEqual([403, "scope_denied"])
  expect(short(await sync((await child(["append"], 1)).secret))).toEqual([403, "expired"])
  expect(it.rows("item")).toBe(0)
  expect((await sync((await child(["append"])).secret)).status).toBe(200)
  await it.remove()
  expect(short(await sync(it.ref.secret))).toEqual([410, "share_removed"])
  expect(it.rows("item")).toBe(0)
})

test("removal with the secret in the body: repeated 200, wrong 404, without one 404, not of the form 400", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  await share.sync([{ type: "message", data: message(1) }])
  expect(short(await share.remove(freshId()))).toEqual([404, "share_unknown"])
  expect(short(await share.remove(5))).toEqual([400, "malformed"])
  expect(short(await it.ask("DELETE", share.path, { body: "nonsense" }))).toEqual([400, "malformed"])
  expect(short(await it.ask("DELETE", share.path))).toEqual([404, "share_unknown"])
  // The header is the contract's; with it the body does not count.
  const headers = it.bearer(freshId())
  const body = JSON.stringify({ secret: share.secret })
  expect(short(await it.ask("DELETE", share.path, { body, headers }))).toEqual([404, "share_unknown"])
  expect(await share.data()).toHaveLength(1)
  for (let times = 0; times < 2; times++) expect((await share.remove()).body).toEqual({ removed: true })
  expect((await it.remove(share.ref)).body).toEqual({ removed: true })
  expect(short(await share.remove(freshId()))).toEqual([404, "share_unknown"])
  expect(it.rows("item")).toBe(0)
})

test("an outbox writes over Cap'n Web to a share that a legacy client made", async () => {
  await using it = await serveRest()
  const share = await legacyShare(it)
  await share.sync([{ type: "message", data: message(1) }])
  await using outbox = openOutbox(join(mkdtempSync(join(it.file, "..", "outbox-")), "outbox.db"))
  const stream = outbox.stream("ses_1", { service: `${it.service.url}/rpc/share`, ...share.ref })
  stream.record({ method: "message.put", args: [message(1, { role: "op" })], key: "message/msg_1" })
  stream.record({ method: "part.put", args: [part(1, 1)] })
  await outbox.flush()
  await share.sync([{ type: "message", data: message(1, { role: "late" }) }])
  expect(await share.data()).toEqual([
    { type: "message", data: message(1, { role: "op" }) },
    { type: "part", data: part(1, 1) },
  ])
  stream.remove()
  await outbox.flush()
  expect((await it.data(share.id)).status).toBe(410)
  expect((await share.remove()).body).toEqual({ removed: true })
})

test("a server with methods of its own takes no sync", async () => {
  await using it = await serveRest({ methods: { put: () => {} } })
  const share = await legacyShare(it)
  expect(short(await share.sync([{ type: "message", data: message(1) }]))).toEqual([501, "unsupported"])
  expect(short(await share.sync([], freshId()))).toEqual([404, "share_unknown"])
  expect(it.rows("item")).toBe(0)
})

test("a sync is seen in the audit log, without a payload, and no answer to a bad one repeats the secret", async () => {
  await using it = await serveRest()
  await it.create()
  const canary = `payload-${freshId()}`
  const sync = (data: unknown) => it.post(`/api/share/${it.ref.share_id}/sync`, { secret: it.ref.secret, data })
  await sync([{ type: "message", data: message(1, { role: canary }) }])
  const bad = [
    await sync([{ type: it.ref.secret, data: 5 }, null]),
    await sync([{ type: "message", data: { id: [it.ref.secret] } }]),
    await it.post(`/api/share/${it.ref.share_id}/sync`, `{"secret":"${it.ref.secret}"`),
  ]
  for (const { text, status } of bad) expect([status, text.includes(it.ref.secret)]).toEqual([400, false])
  const log = await live(it, it.ref.secret, (share) => share.auditLog({}))
  expect(log.map(({ action, detail }) => [action, detail])).toEqual([
    ["create", undefined],
    ["sync", "entries 1"],
  ])
  expect(JSON.stringify(log)).not.toContain(canary)
  expect(JSON.stringify(it.events)).not.toContain(it.ref.secret)
})
