/** A host behind a proxy: the POST goes there, as the environment says. Bun reads it at its start, so each is a process. */
import { expect, test } from "bun:test"
import { canary } from "./attempt.ts"
import { http, rawServer } from "./raw-server.ts"

async function outcomeIn(env: Record<string, string>, url: string, deadline_ms?: number, method?: string) {
  const command = [
    process.execPath,
    `${import.meta.dir}/proxy-fixture.ts`,
    url,
    String(deadline_ms ?? ""),
    method ?? "",
  ]
  const child = Bun.spawn(command, { env: { PATH: process.env.PATH, ...env }, stdout: "pipe", stderr: "pipe" })
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([await child.exited, errors]).toEqual([0, ""])
  return JSON.parse(out) as unknown
}

const ok = http("200 OK", { "content-type": "text/plain" }, "by the proxy")

for (const name of ["HTTP_PROXY", "http_proxy"])
  test(`with ${name} a POST goes to the proxy, whole`, async () => {
    using proxy = rawServer({ text: ok, after: "end" })
    const outcome = await outcomeIn({ [name]: new URL(proxy.url).origin }, "http://service.example/rpc/share")
    expect(outcome).toMatchObject({ status: 200, content_type: "text/plain", body: "by the proxy" })
    const [request] = proxy.requests
    expect(request).toStartWith("POST http://service.example/rpc/share HTTP/1.1\r\n")
    expect(request).toEndWith(`\r\n\r\n${canary}`)
  })

test.each(["GET", "DELETE"])("with HTTP_PROXY a %s goes to the proxy", async (method) => {
  using proxy = rawServer({ text: ok, after: "end" })
  const env = { HTTP_PROXY: new URL(proxy.url).origin }
  expect(await outcomeIn(env, "http://service.example/api/share", undefined, method)).toMatchObject({ status: 200 })
  expect(proxy.requests[0]).toStartWith(`${method} http://service.example/api/share HTTP/1.1\r\n`)
  expect(proxy.requests[0]!.endsWith(canary)).toBe(method === "DELETE")
})

test("with HTTPS_PROXY a POST over TLS asks the proxy for a tunnel, and shows it nothing", async () => {
  using proxy = rawServer({ text: http("502 Bad Gateway", {}), after: "end" })
  const outcome = await outcomeIn({ HTTPS_PROXY: new URL(proxy.url).origin }, "https://service.example/rpc/share")
  expect(Array.isArray(outcome) ? outcome[0] : (outcome as { status: number }).status).toBeOneOf([
    502,
    "connection_lost",
  ])
  expect(proxy.requests[0]).toStartWith("CONNECT service.example:443 HTTP/1.1\r\n")
  expect(proxy.requests.join()).not.toContain(canary)
})

test("NO_PROXY excepts a host, and a proxy for http is none for https", async () => {
  using proxy = rawServer({ text: ok, after: "end" })
  using server = rawServer({ text: http("200 OK", {}, "by the service"), after: "end" })
  const env = { HTTP_PROXY: new URL(proxy.url).origin, NO_PROXY: "127.0.0.1" }
  expect(await outcomeIn(env, server.url)).toMatchObject({ body: "by the service" })
  expect(await outcomeIn({ HTTPS_PROXY: new URL(proxy.url).origin }, server.url)).toMatchObject({
    body: "by the service",
  })
  expect(proxy.requests).toEqual([])
})

test("a proxy that redirects is not followed", async () => {
  using other = rawServer({ text: ok, after: "end" })
  using proxy = rawServer({ text: http("307 Elsewhere", { location: other.url }), after: "end" })
  const outcome = await outcomeIn({ HTTP_PROXY: new URL(proxy.url).origin }, "http://service.example/rpc/share")
  expect(outcome).toMatchObject({ status: 307 })
  expect(other.connections).toBe(0)
})

test("a proxy that refuses the connection: nothing was sent", async () => {
  const proxy = rawServer({ text: "", after: "hang" })
  proxy[Symbol.dispose]()
  const outcome = await outcomeIn({ HTTP_PROXY: new URL(proxy.url).origin }, "http://service.example/rpc/share")
  expect(outcome).toEqual(["refused", "not_sent", "the way to http://service.example refused the connection"])
})

test("a proxy whose answer is cut: unknown", async () => {
  using proxy = rawServer({ text: http("200 OK", { "content-length": 100 }, "half"), after: "end" })
  const outcome = await outcomeIn({ HTTP_PROXY: new URL(proxy.url).origin }, "http://service.example/rpc/share")
  expect(outcome).toMatchObject({ 0: "connection_lost", 1: "unknown" })
  expect(proxy.requests).toHaveLength(1)
})

for (const [framing, text] of [
  ["with a length", http("200 OK", { "content-length": 100 }, "half")],
  ["in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
  ["without a length", "HTTP/1.1 200 OK\r\n\r\nhalf"],
] as const)
  test(`a proxy that falls silent within an answer ${framing}: unknown at the deadline`, async () => {
    using proxy = rawServer({ text, after: "hang" })
    const outcome = await outcomeIn({ HTTP_PROXY: new URL(proxy.url).origin }, "http://service.example/rpc/share", 200)
    expect(outcome).toEqual(["deadline", "unknown", "no complete answer within 200 ms"])
  })
