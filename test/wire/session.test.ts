/** One POST to the real service over a real socket, and what is made of answers that are not whole. */
import { expect, test } from "bun:test"
import { newHttpBatchRpcResponse, RpcTarget } from "capnweb"
import * as limit from "../../src/intent/limit.ts"
import { systemClock, systemRandom } from "../../src/intent/system.ts"
import { randomId, ulidFactory } from "../../src/intent/ulid.ts"
import { serveShareService, type ServiceEvent } from "../../src/service/index.ts"
import type { AppendBatch } from "../../src/wire/contract.ts"
import { httpTransport } from "../../src/wire/http.ts"
import type { Answer, Post } from "../../src/wire/post.ts"
import { rpc } from "../../src/wire/session.ts"
import type { Transport, TransportResponse } from "../../src/wire/transport.ts"
import { tempDir } from "../temp-dir.ts"

const ulid = ulidFactory(systemClock, systemRandom)
const secret = "canary_secret_0123456789abcdef"

function postOf(count: number, more: Partial<Post> = {}): Post {
  const share_id = randomId(systemRandom, 128)
  const writer_id = randomId(systemRandom, 128)
  const batches: AppendBatch[] = []
  for (let n = 0; n < count; n++) {
    const op = { op_id: ulid(), method: "part.put", codec: "capnweb" as const, depends_on: [], schema_version: 1 }
    batches.push({
      writer_id,
      batch_id: ulid(),
      expected_cursor: n,
      expected_head_op_id: batches.at(-1)?.ops[0]!.op_id ?? null,
      settled_op_id: null,
      ops: [{ ...op, args: `[[{"id":"prt_${n}","messageID":"msg_1"}]]`, time_created: 1 }],
    })
  }
  return {
    service: "http://share.example/rpc/share",
    headers: {},
    create: { share_id, secret, session_id: "ses_1" },
    redeem: { share_id, secret, writer_id },
    batches,
    remove: false,
    ...more,
  }
}

/** The POST over this transport, given up by nobody. */
const sendOver = (transport: Transport, post: Post) =>
  rpc.send(post, { transport, clock: systemClock, signal: new AbortController().signal })

async function served() {
  const dir = tempDir()
  const events: ServiceEvent[] = []
  const service = serveShareService({ file: dir.file(), observe: (event) => void events.push(event) })
  return {
    service,
    events,
    requests: () => events.filter((event) => event.name === "request").length,
    async [Symbol.asyncDispose]() {
      await service.stop()
      await dir[Symbol.asyncDispose]()
    },
  }
}

test("createShare, redeemShare and eight appendOps are one POST, decided in the order of the calls", async () => {
  await using it = await served()
  const post = postOf(limit.window_batches, { service: `${it.service.url}/rpc/share` })
  const answer = await sendOver(httpTransport(systemClock), post)
  expect(it.requests()).toBe(1)
  const decided = it.events.flatMap((event) => (event.name === "batch" ? [event.batch.batch_id] : []))
  expect(decided).toEqual(post.batches.map((batch) => batch.batch_id))
  // Each was made for the register that the one before it left: none would be taken in another order.
  expect(answer.appended.map((one) => one.kind === "value" && "applied" in one.value && one.value.cursor)).toEqual(
    post.batches.map((_, index) => index + 1),
  )
  expect([answer.created?.kind, answer.grant.kind, answer.removed]).toEqual(["value", "value", undefined])
})

test("createShare, redeemShare and removeShare are one POST", async () => {
  await using it = await served()
  const post = postOf(0, { service: `${it.service.url}/rpc/share`, remove: true })
  const answer = await sendOver(httpTransport(systemClock), post)
  expect(it.requests()).toBe(1)
  expect(answer.removed).toEqual({ kind: "value", value: { removed: true } })
})

test("the grant comes without its live part", async () => {
  await using it = await served()
  const post = postOf(0, { service: `${it.service.url}/rpc/share` })
  const { grant } = await sendOver(httpTransport(systemClock), post)
  expect(grant.kind === "value" && Object.keys(grant.value)).toEqual([
    "share_id",
    "service_id",
    "epoch",
    "scopes",
    "cursor",
    "head_op_id",
    "limits",
  ])
})

/** What each call was answered, when the service's answer comes in as this. */
async function answersWhen(change: (response: TransportResponse) => TransportResponse, count = 3) {
  await using it = await served()
  const post = postOf(count)
  const transport: Transport = async ({ body }) => {
    const response = await it.service.fetch(new Request(post.service, { method: "POST", body }))
    return change({ status: response.status, retry_after: null, content_type: null, body: await response.text() })
  }
  const { created, grant, appended } = await sendOver(transport, post)
  const said = (answer: Answer<unknown> | undefined) =>
    answer?.kind === "fault" ? `${answer.fault.code}, ${answer.fault.delivery}` : answer?.kind
  for (const answer of [created, grant, ...appended])
    if (answer?.kind === "fault") expect(answer.fault.message).not.toContain(secret)
  return [created, grant, ...appended].map(said)
}

const missing = "answer_missing, unknown"

test("a whole answer answers every call", async () => {
  expect(await answersWhen((whole) => whole)).toEqual(Array(5).fill("value"))
})

test("half an answer: what came whole counts, the rest is unknown", async () => {
  const lines = (count: number, more = "") => {
    return (whole: TransportResponse) => {
      const all = whole.body.split("\n")
      return { ...whole, body: [...all.slice(0, count), ...(more ? [all[count]!.slice(0, 9)] : [])].join("\n") }
    }
  }
  for (const cut of ["", "and a piece of the next"]) {
    const answers = await answersWhen(lines(3, cut))
    expect(answers.filter((answer) => answer === "value")).toHaveLength(3)
    expect(answers.filter((answer) => answer === missing)).toHaveLength(2)
    expect(answers[0]).toBe("value")
  }
})

test.each([
  ["nothing", ""],
  ["empty lines", "\n\n"],
  ["half of its first line", '["resolve",1,{"sh'],
])("an answer that is %s was on its way to be one: what it answers is missing", async (_, body) => {
  expect(await answersWhen((whole) => ({ ...whole, body }))).toEqual(Array(5).fill(missing))
})

const foreign = "not_rpc, unknown"

test.each([
  ["the page of a captive portal", "<html>\n<body>Please log in</body>\n</html>"],
  ["JSON of somebody else", '{"ok":true}'],
  ["a text", '"fine"'],
  ["a list that is no message", "[1,2,3]"],
  ["an empty list", "[]"],
  ["half a line that another one follows", '["resolve",1,{"sh\n["resolve",2,1]'],
])("an answer that is %s is not Cap'n Web's", async (_, body) => {
  expect(await answersWhen((whole) => ({ ...whole, body }))).toEqual(Array(5).fill(foreign))
})

test.each([
  null,
  "",
  "text/plain",
  "text/plain;charset=UTF-8",
  "Text/Plain ; charset=utf-8",
  "application/json",
  "APPLICATION/OCTET-STREAM",
])("a 200 of type %o may be Cap'n Web's", async (content_type) => {
  expect(await answersWhen((whole) => ({ ...whole, content_type }))).toEqual(Array(5).fill("value"))
})

test.each([
  "text/html",
  "text/html; charset=utf-8",
  "TEXT/HTML",
  "text/plain, text/html",
  "text/plainer",
  "application/xml",
  "image/png",
  "text",
])("a 200 of type %o is not, whatever it says", async (content_type) => {
  expect(await answersWhen((whole) => ({ ...whole, content_type }))).toEqual(Array(5).fill(foreign))
})

test("N11: a POST that arrives twice is decided once, and both answers say what became of it", async () => {
  await using it = await served()
  const post = postOf(3, { service: `${it.service.url}/rpc/share` })
  const transport = httpTransport(systemClock)
  const send = () => sendOver(transport, post)
  const [first, second] = await Promise.all([send(), send()])
  const kinds = ({ appended }: typeof first) =>
    appended.flatMap((one) =>
      one.kind === "value" && "applied" in one.value
        ? [`${one.value.applied.length}+${one.value.duplicates.length}`]
        : [],
    )
  // Whose POST came first is the network's to say; each op was applied in one of them, and known in the other.
  expect([kinds(first), kinds(second)].map(String).toSorted()).toEqual(["0+1,0+1,0+1", "1+0,1+0,1+0"])
  expect(it.service.sql.get<{ n: number }>("SELECT count(*) AS n FROM applied")?.n).toBe(3)
})

test("N12: a POST that arrives after newer ones changes nothing", async () => {
  await using it = await served()
  const service = `${it.service.url}/rpc/share`
  const transport = httpTransport(systemClock)
  const both = postOf(2, { service })
  const older = { ...both, batches: both.batches.slice(0, 1) }
  await sendOver(transport, both)
  const { appended } = await sendOver(transport, older)
  // Its outcome, and the register as it stands.
  const op_id = both.batches[0]!.ops[0]!.op_id
  expect(appended).toMatchObject([{ kind: "value", value: { duplicates: [op_id], applied: [], cursor: 2 } }])
  expect(it.service.sql.get<{ n: number }>("SELECT count(*) AS n FROM applied")?.n).toBe(2)
})

test("an answer that comes twice counts once, and a line that ends is not another", async () => {
  expect(await answersWhen((whole) => ({ ...whole, body: `${whole.body}\n` }))).toEqual(Array(5).fill("value"))
})

test.each([204, 301, 302, 307, 308, 400, 401, 403, 404, 413, 429, 500, 502, 503])(
  "status %d: nothing of its body counts",
  async (status) => {
    const code = status >= 300 && status < 400 ? "redirect" : "http_status"
    const answers = await answersWhen((whole) => ({ ...whole, status }))
    expect(answers).toEqual(Array(5).fill(`${code}, unknown`))
  },
)

test.each([
  ["429", "7", 7_000],
  ["503", "Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["503", "soon", undefined],
])("status %s with Retry-After %s carries the wait", async (status, retry_after, wait) => {
  const transport: Transport = async () => ({ status: Number(status), retry_after, content_type: null, body: "" })
  const { grant } = await sendOver(transport, postOf(0))
  expect(grant.kind === "fault" && grant.fault.details.retry_after_ms).toBe(wait as never)
})

class Throwing extends RpcTarget {
  constructor(readonly error: unknown) {
    super()
  }
  redeemShare() {
    throw this.error
  }
}

test.each<[string, unknown, string]>([
  ["our message", new Error("HTTP 503"), "failed"],
  ["our code", Object.assign(new Error("no"), { code: "refused" }), "refused refused"],
  ["our name and delivery", Object.assign(new Error("no"), { name: "TransportFault", delivery: "not_sent" }), "failed"],
  [
    "a status",
    Object.assign(new Error("no"), { code: "http_status", details: { status: 503 } }),
    "refused http_status",
  ],
  ["Bun's network error", Object.assign(new TypeError("no"), { code: "ECONNREFUSED" }), "refused ECONNREFUSED"],
  ["a code that is no text", Object.assign(new Error("no"), { code: 503 }), "failed"],
  ["a text", "ECONNRESET", "failed"],
  ["null", null, "failed"],
])("a server that throws %s is the server's word, not the network's", async (_, error, meaning) => {
  const transport: Transport = async ({ url, body }) => {
    const response = await newHttpBatchRpcResponse(new Request(url, { method: "POST", body }), new Throwing(error))
    return { status: response.status, retry_after: null, content_type: null, body: await response.text() }
  }
  const { grant } = await sendOver(transport, postOf(1, { create: undefined }))
  expect(grant.kind === "refused" ? `refused ${grant.code}` : grant.kind).toBe(meaning)
})

test("a transport that throws something of its own is a lost connection, without its text", async () => {
  const transport: Transport = async () => {
    throw new Error(`cannot send ${secret}`)
  }
  const { grant } = await sendOver(transport, postOf(0))
  expect(grant).toMatchObject({ kind: "fault", fault: { code: "connection_lost", message: "the transport failed" } })
})
