/** Connections that serve more than one POST, and those that end meanwhile. No request is ever sent twice. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { systemClock } from "../../src/intent/system.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { httpTransport } from "../../src/wire/http.ts"
import { nextTurn, outcomeBy, requestTo } from "./attempt.ts"
import { certificate, http, rawServer, type RawServer, type Said } from "./raw-server.ts"

const kept: Said = { text: http("200 OK", {}, "ok"), after: "hang" }

function clientOf(server: RawServer, clock = systemClock) {
  const transport = httpTransport(clock, { ca: certificate })
  return async () => {
    const outcome = await outcomeBy(transport, requestTo(server.url))
    return Array.isArray(outcome) ? outcome.slice(0, 2).join(", ") : `${outcome.status} ${outcome.body}`
  }
}

for (const [scheme, options] of [
  ["http", {}],
  ["https", { tls: certificate }],
] as const) {
  test(`POSTs one after another go over one ${scheme} connection`, async () => {
    using server = rawServer(kept, options)
    const post = clientOf(server)
    for (let n = 0; n < 5; n++) expect(await post()).toBe("200 ok")
    expect([server.requests.length, server.connections]).toEqual([5, 1])
  })

  test(`an idle ${scheme} connection that the server closed is not used again`, async () => {
    using server = rawServer(kept, options)
    const post = clientOf(server)
    await post()
    server.drop("end")
    await server.left
    await nextTurn()
    expect(await post()).toBe("200 ok")
    expect([server.requests.length, server.connections]).toEqual([2, 2])
  })

  for (const how of ["end", "reset"] as const)
    test(`a used ${scheme} connection that ends (${how}) instead of answering: unknown, and the server saw one request`, async () => {
      using server = rawServer((index) => (index === 1 ? { text: "", after: how } : kept), options)
      const post = clientOf(server)
      expect(await post()).toBe("200 ok")
      expect(await post()).toBe("connection_lost, unknown")
      expect([server.requests.length, server.connections]).toEqual([2, 1])
      expect(await post()).toBe("200 ok")
      expect([server.requests.length, server.connections]).toEqual([3, 2])
    })
}

test("a server that closes an idle connection just as the next POST leaves sees that POST at most once", async () => {
  using server = rawServer(kept)
  const post = clientOf(server)
  await post()
  // Both in one turn: the client cannot know yet.
  server.drop("end")
  expect(["connection_lost, unknown", "connection_lost, not_sent", "200 ok"]).toContain(await post())
  expect(server.requests.length).toBeLessThanOrEqual(2)
})

test("POSTs at one time have a connection each, and those serve the next ones", async () => {
  using server = rawServer(kept)
  const post = clientOf(server)
  expect(await Promise.all([post(), post(), post()])).toEqual(["200 ok", "200 ok", "200 ok"])
  expect(await Promise.all([post(), post(), post()])).toEqual(["200 ok", "200 ok", "200 ok"])
  expect([server.requests.length, server.connections]).toEqual([6, 3])
})

test("bytes after an answer never become the next answer", async () => {
  const twice = http("200 OK", {}, "mine") + http("200 OK", {}, "nobody's")
  using server = rawServer((index) => (index === 0 ? { text: twice, after: "hang" } : kept))
  const post = clientOf(server)
  expect(await post()).toBe("200 mine")
  expect(await post()).toBe("200 ok")
  expect(server.connections).toBe(2)
})

test("bytes that come while nobody asks end the connection", async () => {
  using server = rawServer(kept)
  const post = clientOf(server)
  await post()
  server.say(http("200 OK", {}, "nobody's"))
  await server.left
  expect(await post()).toBe("200 ok")
  expect(server.connections).toBe(2)
})

test("an idle connection is closed after 4 s, before common servers would", async () => {
  using server = rawServer(kept)
  const clock = new ManualClock()
  const post = clientOf(server, clock)
  await post()
  clock.turn(3_999)
  await post()
  expect(server.connections).toBe(1)
  clock.turn(4_000)
  await server.left
  await post()
  expect(server.connections).toBe(2)
})

test("N13: a POST that was given up takes its connection with it: a late answer meets nobody", async () => {
  using server = rawServer((index) => (index === 0 ? { text: "", after: "hang" } : kept))
  const clock = new ManualClock()
  const post = clientOf(server, clock)
  const first = post()
  await server.asked
  clock.turn(30_000)
  expect(await first).toBe("deadline, unknown")
  await server.left
  server.say(http("200 OK", {}, "of the first"))
  expect(await post()).toBe("200 ok")
  expect([server.requests.length, server.connections]).toEqual([2, 2])
})

test("a connection whose server answered before it had read the request is not used again", async () => {
  const opened: number[] = []
  using server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        opened.push(socket.remotePort)
        socket.pause()
        socket.write(http("413 Too Large", {}))
      },
      data() {},
    },
  })
  const transport = httpTransport(systemClock)
  const request = requestTo(`http://127.0.0.1:${server.port}/`, { body: "x".repeat(limit.post_bytes_max) })
  for (let n = 0; n < 2; n++) expect(await outcomeBy(transport, request)).toMatchObject({ status: 413 })
  expect(opened).toHaveLength(2)
})
