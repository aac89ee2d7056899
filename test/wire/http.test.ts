import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { systemClock } from "../../src/intent/system.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { httpTransport } from "../../src/wire/http.ts"
import { TransportFault, type TransportRequest } from "../../src/wire/transport.ts"
import { http, rawServer, type Said } from "./raw-server.ts"

const canary = "canary_secret_0123456789abcdef"

function requestTo(url: string, more: Partial<TransportRequest> = {}): TransportRequest {
  return {
    url,
    headers: { "x-gateway-key": canary },
    body: canary,
    deadline_ms: limit.request_deadline_ms,
    signal: new AbortController().signal,
    ...more,
  }
}

/** The answer, or the fault in short. No fault may carry a secret. */
async function outcomeOf(url: string, more: Partial<TransportRequest> = {}, clock = systemClock) {
  try {
    return await httpTransport(clock)(requestTo(url, more))
  } catch (error) {
    if (!(error instanceof TransportFault)) throw error
    expect(error.message).not.toContain(canary)
    return [error.code, error.delivery, error.message]
  }
}

async function answerTo(said: Said) {
  using server = rawServer(said)
  const outcome = await outcomeOf(server.url)
  // Whatever happens, a request is never sent again by the transport itself.
  expect(server.requests).toHaveLength(1)
  return Array.isArray(outcome) ? outcome.slice(0, 2) : outcome
}

test("the answer comes with status, Retry-After and body", async () => {
  const headers = { "content-type": "text/plain", "retry-after": "7" }
  expect(await answerTo({ text: http("503 Busy", headers, "later é"), after: "end" })).toEqual({
    status: 503,
    retry_after: "7",
    body: "later é",
  })
})

test("a POST carries the body and the headers of the attempt", async () => {
  using server = rawServer({ text: http("200 OK", {}), after: "end" })
  await outcomeOf(server.url, { body: "line 1\nline 2" })
  const [request] = server.requests
  expect(request).toStartWith("POST /rpc/share HTTP/1.1\r\n")
  expect(request?.toLowerCase()).toContain(`x-gateway-key: ${canary}\r\n`)
  expect(request).toEndWith("\r\n\r\nline 1\nline 2")
})

test("a connection that is refused was not sent", async () => {
  const server = rawServer({ text: "", after: "hang" })
  server[Symbol.dispose]()
  expect(await outcomeOf(server.url)).toEqual([
    "refused",
    "not_sent",
    `${new URL(server.url).origin} refused the connection`,
  ])
})

test("a name that does not exist was not sent", async () => {
  // Bun 1.3.14 calls it a refused connection. What matters is the same: the server has seen nothing.
  const [code, ...rest] = (await outcomeOf(
    "http://nowhere.invalid/rpc/share?key=canary_secret_0123456789abcdef",
  )) as string[]
  expect(["name_not_found", "refused"]).toContain(code!)
  expect(rest).toEqual([
    "not_sent",
    code === "refused" ? "http://nowhere.invalid refused the connection" : "http://nowhere.invalid was not found",
  ])
})

test("a URL that is none was not sent", async () => {
  expect(await outcomeOf("http://")).toMatchObject({ 0: "invalid_url", 1: "not_sent" })
})

const cut = JSON.stringify(["resolve", 1, 1])
const lost: Record<string, Said> = {
  "closed after the request": { text: "", after: "end" },
  "reset after the request": { text: "", after: "reset" },
  "a body shorter than content-length": { text: http("200 OK", { "content-length": 100 }, cut), after: "end" },
  "a body shorter than content-length, reset": { text: http("200 OK", { "content-length": 100 }, cut), after: "reset" },
  "a chunked body without its last chunk": {
    text: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${cut.length.toString(16)}\r\n${cut}\r\n`,
    after: "end",
  },
  "headers that end in the middle": { text: "HTTP/1.1 200 OK\r\ncontent-le", after: "end" },
  "an answer that is no HTTP": { text: "SSH-2.0-OpenSSH_9.6\r\n\r\n", after: "end" },
}
for (const [what, said] of Object.entries(lost))
  test(`${what}: whether it was decided is unknown`, async () => {
    expect(await answerTo(said)).toEqual(["connection_lost", "unknown"])
  })

test("a body that only the end of the connection ends is given as far as it came", async () => {
  const text = `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${cut}\n["resol`
  expect(await answerTo({ text, after: "end" })).toMatchObject({ status: 200, body: `${cut}\n["resol` })
})

const bodies: Record<string, [string, string]> = {
  "an empty 200": ["200 OK", ""],
  "a 204": ["204 No Content", ""],
  "the page of a captive portal": ["200 OK", "<html>Please log in</html>"],
}
for (const [what, [status, body]] of Object.entries(bodies))
  test(`${what} is an answer: what it is worth is not the transport's to say`, async () => {
    const text = status.startsWith("204") ? "HTTP/1.1 204 No Content\r\n\r\n" : http(status, {}, body)
    expect(await answerTo({ text, after: "end" })).toMatchObject({ status: Number.parseInt(status), body })
  })

for (const status of [301, 302, 303, 307, 308])
  test(`a ${status} is not followed, so that the other origin sees no secret and no request`, async () => {
    using other = rawServer({ text: http("200 OK", {}), after: "end" })
    expect(await answerTo({ text: http(`${status} Elsewhere`, { location: other.url }), after: "end" })).toMatchObject({
      status,
    })
    expect(other.requests).toEqual([])
  })

test("an answer over the cap is given up", async () => {
  const body = new Uint8Array(limit.response_bytes_max + 1)
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(body) })
  const [code, delivery, message] = (await outcomeOf(server.url.href)) as string[]
  expect([code, delivery]).toEqual(["response_too_large", "unknown"])
  expect(message).toContain(String(limit.response_bytes_max))
})

const silent: Record<string, string> = {
  "before the answer": "",
  "in the middle of the headers": "HTTP/1.1 200 OK\r\n",
  "in the middle of the body": http("200 OK", { "content-length": 100 }, cut),
}
for (const [where, text] of Object.entries(silent)) {
  test(`a server that falls silent ${where} is given up at the deadline, not before`, async () => {
    using server = rawServer({ text, after: "hang" })
    const clock = new ManualClock()
    const outcome = outcomeOf(server.url, { deadline_ms: 30_000 }, clock)
    await server.asked
    clock.turn(29_999)
    expect(await Promise.race([outcome, nextTurn()])).toBe("nothing yet")
    clock.turn(1)
    expect(await outcome).toEqual(["deadline", "unknown", "no complete answer within 30000 ms"])
  })

  test(`a server that falls silent ${where} is left at once when the attempt is aborted`, async () => {
    using server = rawServer({ text, after: "hang" })
    const abort = new AbortController()
    const outcome = outcomeOf(server.url, { signal: abort.signal })
    await server.asked
    abort.abort(new Error(canary))
    expect(await outcome).toEqual(["aborted", "unknown", "the attempt was given up"])
  })
}

test("an attempt that was aborted before is not sent", async () => {
  using server = rawServer({ text: http("200 OK", {}), after: "end" })
  const outcome = await outcomeOf(server.url, { signal: AbortSignal.abort() })
  expect(outcome).toMatchObject({ 0: "aborted" })
  expect(server.requests).toEqual([])
})

test("no timer of an attempt is left when it is over", async () => {
  using server = rawServer({ text: http("200 OK", {}), after: "end" })
  const clock = new ManualClock()
  let left = 0
  const counting = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    timer: (delay_ms: number, callback: () => void) => {
      left += 1
      const timer = clock.timer(delay_ms, callback)
      return { cancel: () => void (timer.cancel(), (left -= 1)) }
    },
    block: (delay_ms: number) => clock.block(delay_ms),
  }
  await outcomeOf(server.url, {}, counting)
  expect(left).toBe(0)
})

async function nextTurn(): Promise<string> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  return "nothing yet"
}
