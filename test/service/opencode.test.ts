import { expect, test } from "bun:test"
import { createShareService } from "../../src/service/bun.ts"
import { freshId, op, openBox, type Writer } from "./box.ts"

async function setup() {
  const box = await openBox()
  box.create()
  const service = createShareService({ sql: box.core.sql })
  const get = (id = box.ref.share_id) => service.fetch(new Request(`http://share.example/api/share/${id}/data`))
  const data = async () => (await (await get()).json()) as { type: string; data: unknown }[]
  return { box, writer: box.writer(), get, data, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() }
}

const session = { id: "ses_1", title: "A session" }
const message = (n: number) => ({ id: `msg_${n}`, sessionID: "ses_1", role: "user" })
const part = (n: number, of: number, text = "text") => ({
  id: `prt_${n}`,
  messageID: `msg_${of}`,
  sessionID: "ses_1",
  text,
})

function put(writer: Writer, ...puts: [string, unknown][]) {
  return writer.append(...puts.map(([method, value]) => op(method, [value])))
}

test("data is the session, messages by id, parts by message and id, the diff, and all models as one list", async () => {
  await using it = await setup()
  put(
    it.writer,
    ["part.put", part(3, 2)],
    ["model.put", { provider_id: "b", models: [{ id: "b1" }, { id: "b2" }] }],
    ["part.put", part(4, 1)],
    ["message.put", message(2)],
    ["part.put", part(2, 1)],
    ["model.put", { provider_id: "none", models: [] }],
    ["model.put", { provider_id: "a", models: [{ id: "a1" }] }],
    ["message.put", message(1)],
    ["session_diff.put", { diff: [{ file: "a.ts" }] }],
    ["turn.put", { message_id: "msg_1", state: "completed" }],
    ["session.put", session],
  )
  expect(await it.data()).toEqual([
    { type: "session", data: session },
    { type: "message", data: message(1) },
    { type: "message", data: message(2) },
    { type: "part", data: part(2, 1) },
    { type: "part", data: part(4, 1) },
    { type: "part", data: part(3, 2) },
    { type: "session_diff", data: [{ file: "a.ts" }] },
    { type: "model", data: [{ id: "a1" }, { id: "b1" }, { id: "b2" }] },
  ])
  expect(it.box.core.sql.get(`SELECT data FROM item WHERE type = 'turn'`)).toEqual({
    data: '{"message_id":"msg_1","state":"completed"}',
  })
})

test("the newest put of a type and id wins, and the same batch again changes nothing", async () => {
  await using it = await setup()
  const ops = [
    op("message.put", [message(1)]),
    op("part.put", [part(1, 1, "old")]),
    op("part.put", [part(1, 1, "new")]),
    op("model.put", [{ provider_id: "a", models: [{ id: "a1" }] }]),
    op("session_diff.put", [{ diff: [] }]),
  ]
  const batch = it.writer.batch(ops)
  it.writer.append(...ops)
  const before = await it.data()
  expect(before.map(({ type }) => type)).toEqual(["message", "part", "session_diff", "model"])
  expect(before[1]!.data).toEqual(part(1, 1, "new"))
  for (let again = 0; again < 3; again++) it.writer.share.appendOps(batch)
  it.writer.append(...ops)
  expect(await it.data()).toEqual(before)
  expect(ops.map(({ op_id }) => it.box.effects(op_id))).toEqual([1, 1, 1, 1, 1])
})

test("a payload is served byte for byte, whatever its text holds", async () => {
  await using it = await setup()
  const value = {
    id: "msg_1",
    z: 1,
    a: [null, 1e21, 0.1, ["$ref", "x", []]],
    ünï: '\u0000\u2028\ud83d\ude00\\"',
    "2": 2,
  }
  put(it.writer, ["message.put", value])
  expect(await (await it.get()).text()).toBe(`[{"type":"message","data":${JSON.stringify(value)}}]`)
})

test("a removed message takes its parts with it, and a part that comes later shows only when the message is put again", async () => {
  await using it = await setup()
  put(
    it.writer,
    ["message.put", message(1)],
    ["part.put", part(1, 1)],
    ["message.put", message(2)],
    ["part.put", part(2, 2)],
  )
  put(it.writer, ["turn.put", { message_id: "msg_1", state: "failed" }], ["message.remove", { id: "msg_1" }])
  const rest = [
    { type: "message", data: message(2) },
    { type: "part", data: part(2, 2) },
  ]
  expect(await it.data()).toEqual(rest)
  put(it.writer, ["part.put", part(3, 1)])
  expect(await it.data()).toEqual(rest)
  put(it.writer, ["message.put", message(1)])
  expect(await it.data()).toEqual([
    { type: "message", data: message(1) },
    rest[0]!,
    { type: "part", data: part(3, 1) },
    rest[1]!,
  ])
})

test("a removed part is gone until it is put again; removing what never was is fine", async () => {
  await using it = await setup()
  put(it.writer, ["part.remove", { id: "prt_9", message_id: "msg_9" }], ["message.remove", { id: "msg_8" }])
  put(it.writer, ["part.put", part(1, 1)], ["part.remove", { id: "prt_1", message_id: "msg_1" }])
  expect(await it.data()).toEqual([])
  put(it.writer, ["part.put", part(1, 1, "again")])
  expect(await it.data()).toEqual([{ type: "part", data: part(1, 1, "again") }])
})

test("args that a method does not take are rejected invalid_args", async () => {
  await using it = await setup()
  const bad: [string, unknown][] = [
    ["session.put", {}],
    ["session.put", null],
    ["session.put", "ses_1"],
    ["message.put", { id: 5 }],
    ["message.put", [message(1)]],
    ["message.put", { id: "" }],
    ["message.put", { id: "a\u0000b" }],
    ["message.put", { id: "msg_1", big: 10n }],
    ["part.put", { id: "prt_1" }],
    ["session_diff.put", { diff: {} }],
    ["model.put", { provider_id: "a" }],
    ["model.put", { models: [] }],
    ["turn.put", { message_id: "msg_1", state: "sleeping" }],
    ["message.remove", {}],
    ["part.remove", { id: "prt_1" }],
  ]
  expect(put(it.writer, ...bad).rejected.map(({ code }) => code)).toEqual(bad.map(() => "invalid_args"))
  expect(it.writer.append(op("session.put", [])).rejected).toMatchObject([{ code: "invalid_args" }])
  expect(await it.data()).toEqual([])
})

test("data of an unknown share is 404, of a removed one 410, and it is open to every origin and never cached", async () => {
  await using it = await setup()
  const of = async (id?: string) => {
    const response = await it.get(id)
    const body = (await response.json()) as { error?: { code: string } }
    return [
      response.status,
      body.error?.code,
      response.headers.get("access-control-allow-origin"),
      response.headers.get("cache-control"),
    ]
  }
  expect(await of()).toEqual([200, undefined, "*", "no-store"])
  expect(await of(freshId())).toEqual([404, "share_unknown", "*", "no-store"])
  expect(await of("x")).toEqual([404, "share_unknown", "*", "no-store"])
  it.box.redeem().share.removeShare()
  expect(await of()).toEqual([410, "share_removed", "*", "no-store"])
})

test("two shares do not see each other's items", async () => {
  await using it = await setup()
  put(it.writer, ["message.put", message(1)])
  const other = { share_id: freshId(), secret: freshId() }
  it.box.api.createShare({ ...other, session_id: "ses_2" })
  const { share } = it.box.api.redeemShare({ ...other, writer_id: freshId() })
  share.appendOps({ ...it.box.writer().batch([op("message.remove", [{ id: "msg_1" }])]) })
  expect(await it.data()).toHaveLength(1)
  expect(await (await it.get(other.share_id)).json()).toEqual([])
})
