/**
 * Every fault that a network can bring (research: N1 to N26 of the catalogue), on real sockets: what the attempt becomes,
 * whether the server can have seen it, and how often. Faults of several attempts stand with the flusher and the service.
 */
import { expect, test } from "bun:test"
import { createServer, type AddressInfo, type Socket } from "node:net"
import * as limit from "../../src/intent/limit.ts"
import { systemClock } from "../../src/intent/system.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { httpTransport } from "../../src/wire/http.ts"
import type { Post } from "../../src/wire/post.ts"
import { rpc } from "../../src/wire/session.ts"
import { canary, nextTurn, outcomeBy, outcomeOf, requestTo } from "./attempt.ts"
import { blackHole } from "./black-hole.ts"
import { certificate, expired, http, rawServer, type Said } from "./raw-server.ts"

const plain = { "content-type": "text/plain;charset=utf-8" }

/** What a whole POST's redeemShare is answered by the server, as the flusher sees it: a fault in short, or the kind. */
async function grantBy(url: string, clock = systemClock) {
  const redeem = { share_id: "share_of_the_test", secret: canary, writer_id: "writer_of_the_test" }
  const post: Post = { service: url, headers: {}, create: undefined, redeem, batches: [], remove: false }
  const { grant } = await rpc.send(post, {
    transport: httpTransport(clock),
    clock,
    signal: new AbortController().signal,
  })
  if (grant.kind !== "fault") return grant.kind
  expect(Bun.inspect(grant.fault)).not.toContain(canary)
  const { code, delivery, details } = grant.fault
  return [code, delivery, ...(details.status === undefined ? [] : [details.status]), details.retry_after_ms].filter(
    (part) => part !== undefined,
  )
}

/** The same, and that the server saw one request. */
async function grantWhen(said: Said) {
  using server = rawServer(said)
  const grant = await grantBy(server.url)
  expect(server.requests).toHaveLength(1)
  return grant
}

test("N1: a connection that is refused was not sent", async () => {
  const server = rawServer({ text: "", after: "hang" })
  server[Symbol.dispose]()
  expect(await grantBy(server.url)).toEqual(["refused", "not_sent"])
})

test("N2: a name that cannot be resolved was not sent", async () => {
  expect(await grantBy("http://nowhere.invalid/rpc/share")).toEqual(["name_not_found", "not_sent"])
})

test("N3: a black hole is given up after 10 s, and nothing was sent", async () => {
  await using hole = await blackHole()
  const clock = new ManualClock()
  const outcome = outcomeOf(`http://127.0.0.1:${hole.port}/`, {}, clock)
  await nextTurn()
  clock.turn(9_999)
  expect(await Promise.race([outcome, nextTurn()])).toBe("nothing yet")
  clock.turn(1)
  const origin = `http://127.0.0.1:${hole.port}`
  expect(await outcome).toEqual(["deadline", "not_sent", `no connection to ${origin} within 10000 ms`])
})

test("N3: a handshake that is never answered is given up after 10 s, and nothing was sent", async () => {
  using server = rawServer({ text: "", after: "hang" })
  const clock = new ManualClock()
  const outcome = outcomeOf(server.url.replace("http:", "https:"), {}, clock)
  while (server.bytes === 0) await nextTurn()
  clock.turn(10_000)
  expect(await outcome).toMatchObject({ 0: "deadline", 1: "not_sent" })
  expect(server.requests).toEqual([])
})

test("N3: an attempt that is given up while it connects was not sent", async () => {
  await using hole = await blackHole()
  const abort = new AbortController()
  const outcome = outcomeOf(`http://127.0.0.1:${hole.port}/`, { signal: abort.signal })
  await nextTurn()
  abort.abort()
  expect(await outcome).toEqual(["aborted", "not_sent", "the attempt was given up"])
})

test("N4: a server that takes the request and falls silent: unknown at the deadline", async () => {
  using server = rawServer({ text: "", after: "hang" })
  const clock = new ManualClock()
  const outcome = grantBy(server.url, clock)
  await server.asked
  clock.turn(limit.request_deadline_ms)
  expect(await outcome).toEqual(["deadline", "unknown"])
  expect(server.requests).toHaveLength(1)
})

for (const after of ["reset", "end"] as const)
  test(`N5: a connection that ends (${after}) before the answer: unknown`, async () => {
    expect(await grantWhen({ text: "", after })).toEqual(["connection_lost", "unknown"])
  })

const granted = '["resolve",1,{"share_id":"share_of_the_test","scopes":[[]],"limits":{}}]'
const answer = http("200 OK", plain, granted)
for (const after of ["reset", "end"] as const)
  test(`N6: an answer of which any byte is missing (${after}) answers nothing`, async () => {
    // At the ends of each part, and in the middle of each.
    const body = answer.indexOf("\r\n\r\n") + 4
    for (const bytes of [1, 9, 15, 17, 40, body - 3, body - 1, body, body + 1, body + 9, answer.length - 1])
      expect([bytes, await grantWhen({ text: answer.slice(0, bytes), after })]).toEqual([
        bytes,
        ["connection_lost", "unknown"],
      ])
  })

test("N6: an answer that is whole counts, even if the connection is reset after it", async () => {
  expect(await grantWhen({ text: answer, after: "end" })).toBe("value")
})

test("N7: an answer without a length that is cut within its first line answers nothing", async () => {
  const text = answer.replace(/content-length: \d+\r\n/, "")
  for (const bytes of [1, 9, 20]) {
    const cut = text.slice(0, text.indexOf("\r\n\r\n") + 4 + bytes)
    const expected = bytes === 1 ? "not_rpc" : "answer_missing"
    expect(await grantWhen({ text: cut, after: "end" })).toEqual([expected, "unknown", ...(bytes === 1 ? [200] : [])])
  }
})

const portal = "<!doctype html>\n<html><body>Please log in</body></html>"
test.each([
  ["the page of a captive portal", http("200 OK", { "content-type": "text/html" }, portal)],
  ["that page under a type that could be ours", http("200 OK", plain, portal)],
  ["a picture", http("200 OK", { "content-type": "image/png" }, "PNG")],
  ["JSON of somebody else", http("200 OK", { "content-type": "application/json" }, '{"ok":true}')],
  ["a right answer that says it is a page", answer.replace("text/plain", "text/html")],
])("N8: %s is not the service: unknown, and nothing of it counts", async (_, text) => {
  expect(await grantWhen({ text, after: "hang" })).toEqual(["not_rpc", "unknown", 200])
})

test("N9: an empty 200 answers nothing", async () => {
  expect(await grantWhen({ text: http("200 OK", plain), after: "hang" })).toEqual(["answer_missing", "unknown"])
})

test("N9: a 204 answers nothing", async () => {
  const text = "HTTP/1.1 204 No Content\r\n\r\n"
  expect(await grantWhen({ text, after: "hang" })).toEqual(["http_status", "unknown", 204])
})

test("N10: an answer that comes twice counts once", async () => {
  expect(await grantWhen({ text: answer + answer, after: "hang" })).toBe("value")
})

test("N14: an answer of one byte at a time has the deadline of the whole attempt", async () => {
  using server = rawServer({ text: "", after: "hang" })
  const clock = new ManualClock()
  const outcome = grantBy(server.url, clock)
  await server.asked
  for (const letter of answer.slice(0, 29)) {
    server.say(letter)
    await nextTurn()
    clock.turn(1_000)
  }
  expect(await Promise.race([outcome, nextTurn()])).toBe("nothing yet")
  clock.turn(1_000)
  expect(await outcome).toEqual(["deadline", "unknown"])
  expect(server.requests).toHaveLength(1)
})

test("N14: a request that the server reads a byte at a time has the same deadline: unknown", async () => {
  const taken = Promise.withResolvers<Socket>()
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", () => {
      socket.pause()
      taken.resolve(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const clock = new ManualClock()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const outcome = outcomeOf(url, { body: canary.repeat(500_000) }, clock)
  const socket = await taken.promise
  clock.turn(29_999)
  expect(await Promise.race([outcome, nextTurn()])).toBe("nothing yet")
  clock.turn(1)
  expect(await outcome).toEqual(["deadline", "unknown", "no complete answer within 30000 ms"])
  socket.destroy()
  server.close()
})

test.each([
  ["N15", "401 Unauthorized", {}, undefined],
  ["N16", "403 Forbidden", {}, undefined],
  ["N17", "404 Not Found", {}, undefined],
  ["N17", "405 Method Not Allowed", {}, undefined],
  ["N18", "409 Conflict", {}, undefined],
  ["N19", "413 Content Too Large", {}, undefined],
  ["N20", "408 Request Timeout", {}, undefined],
  ["N20", "429 Too Many Requests", { "retry-after": "7" }, 7_000],
  ["N20", "429 Too Many Requests", { "Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
  ["N21", "500 Internal Server Error", {}, undefined],
  ["N21", "502 Bad Gateway", {}, undefined],
  ["N21", "503 Service Unavailable", { "retry-after": "120" }, 120_000],
  ["N21", "504 Gateway Timeout", {}, undefined],
])("%s: %s (%o) may have been decided; its body counts for nothing", async (_, status, headers, wait) => {
  const text = http(status, { ...plain, ...headers }, granted)
  const grant: unknown = await grantWhen({ text, after: "hang" })
  expect(grant).toEqual(["http_status", "unknown", Number.parseInt(status), ...(wait === undefined ? [] : [wait])])
})

for (const status of [300, 301, 302, 303, 304, 307, 308])
  test(`N22: a ${status} to another origin: the other sees no request and no connection`, async () => {
    using other = rawServer({ text: answer, after: "hang" })
    const text = http(`${status} Elsewhere`, { location: other.url, refresh: `0;url=${other.url}` })
    expect(await grantWhen({ text, after: "hang" })).toEqual(["redirect", "unknown", status])
    expect([other.requests.length, other.connections]).toEqual([0, 0])
  })

test("N22: a loop of redirects is one request", async () => {
  const text = http("308 Again", { location: "/rpc/share" })
  expect(await grantWhen({ text, after: "hang" })).toEqual(["redirect", "unknown", 308])
})

test.each<[string, string, string | undefined, string]>([
  ["signed by nobody who is trusted", certificate, undefined, "127.0.0.1"],
  ["that has expired", expired, expired, "127.0.0.1"],
  ["of another name", certificate, certificate, "[::1]"],
])("N23: a certificate %s: nothing was sent, and nothing goes out in the clear", async (_, shown, ca, host) => {
  using server = rawServer({ text: answer, after: "hang" }, { tls: shown, hostname: host.replace(/[[\]]/g, "") })
  const transport = httpTransport(systemClock, ca ? { ca } : {})
  const [code, delivery, message] = (await outcomeBy(transport, requestTo(server.url))) as string[]
  expect([code, delivery]).toEqual(["tls", "not_sent"])
  expect(message).toStartWith(`no secure connection to https://${host}:${server.port} (`)
  expect(server.requests).toEqual([])
})

test("N23: a server without TLS behind an https URL is sent nothing", async () => {
  using server = rawServer({ text: "", after: "hang" })
  const outcome = outcomeOf(server.url.replace("http:", "https:"))
  while (server.bytes === 0) await nextTurn()
  server.say("HTTP/1.1 400 Bad Request\r\n\r\n")
  server.drop("end")
  expect(await outcome).toMatchObject({ 0: "tls", 1: "not_sent" })
})

for (const how of ["end", "reset"] as const)
  test(`N23: a connection that ends (${how}) in the handshake was not sent`, async () => {
    using server = rawServer({ text: "", after: "hang" })
    const outcome = outcomeOf(server.url.replace("http:", "https:"))
    while (server.bytes === 0) await nextTurn()
    server.drop(how)
    expect(await outcome).toMatchObject({ 0: "connection_lost", 1: "not_sent" })
    expect(server.requests).toEqual([])
  })

test("N23: over TLS that is in order the answer comes", async () => {
  using server = rawServer({ text: http("200 OK", plain, "ok"), after: "hang" }, { tls: certificate })
  const transport = httpTransport(systemClock, { ca: certificate })
  const named = requestTo(server.url.replace("127.0.0.1", "localhost"))
  for (const request of [requestTo(server.url), named])
    expect(await outcomeBy(transport, request)).toMatchObject({ status: 200, body: "ok" })
})

test("N24: a proxy that waits for a 100-continue of its own making stalls nothing", async () => {
  const text = `HTTP/1.1 100 Continue\r\n\r\n${answer}`
  using server = rawServer({ text, after: "hang" })
  expect(await grantBy(server.url)).toBe("value")
  // No Expect is sent: nobody may wait for leave to send the body.
  expect(server.requests[0]!.toLowerCase()).not.toContain("expect:")
})

test("N25: a name whose first addresses are dead is reached at the one that lives, with one request", async () => {
  using server = rawServer({ text: http("200 OK", plain, "ok"), after: "hang" })
  const dead = [
    { address: "::1", family: 6 },
    { address: "127.0.0.2", family: 4 },
  ]
  const transport = httpTransport(systemClock, {
    lookup: (_name, _options, done) => done(null, [...dead, { address: "127.0.0.1", family: 4 }]),
  })
  const request = requestTo(`http://two.example:${server.port}/`)
  expect(await outcomeBy(transport, request)).toMatchObject({ status: 200, body: "ok" })
  expect([server.requests.length, server.connections]).toEqual([1, 1])
})
