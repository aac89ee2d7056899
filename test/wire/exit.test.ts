/** A POST on its way never keeps the process: whoever waits for it does. In every phase, on connections new and used. */
import { expect, test } from "bun:test"
import { createServer, type AddressInfo } from "node:net"
import * as limit from "../../src/intent/limit.ts"
import { nextTurn } from "./attempt.ts"
import { certificate, http, rawServer, type Said } from "./raw-server.ts"

async function lifeOf(url: string, size: number, warm: "warm" | "fresh", reached: Promise<unknown>) {
  const command = [process.execPath, `${import.meta.dir}/exit-fixture.ts`, url, String(size), warm]
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe" })
  await reached
  await nextTurn()
  child.stdin.write("go")
  await child.stdin.flush()
  const { value, done } = await child.stdout.getReader().read()
  const said = done ? "" : new TextDecoder().decode(value).trim()
  if (said) child.kill("SIGKILL")
  const code = await child.exited
  return said || `exit ${code}${await new Response(child.stderr).text()}`
}

const silence: Said = { text: "", after: "hang" }
const part: Said = { text: http("200 OK", { "content-length": 100 }, "half"), after: "hang" }
const whole: Said = { text: http("200 OK", {}, "ok"), after: "hang" }

for (const [scheme, options] of [
  ["http", {}],
  ["https", { tls: certificate }],
] as const) {
  for (const [phase, said] of [
    ["for its answer", silence],
    ["for the rest of its answer", part],
  ] as const)
    test(`${scheme}: a POST that waits ${phase} does not keep the process`, async () => {
      using server = rawServer(said, options)
      expect(await lifeOf(server.url, 10, "fresh", server.asked)).toBe("exit 0")
    })

  test(`${scheme}: a POST on a used connection that waits for its answer does not keep the process`, async () => {
    const second = Promise.withResolvers<void>()
    using server = rawServer((index) => {
      if (index === 1) second.resolve()
      return index === 0 ? whole : silence
    }, options)
    expect(await lifeOf(server.url, 10, "warm", second.promise)).toBe("exit 0")
    expect(server.connections).toBe(1)
  })
}

/** Accepts, reads this much and no more, says nothing. */
function deaf(bytes_max: number) {
  const opened = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    let bytes = 0
    socket.on("error", () => {})
    socket.on("data", (piece) => {
      bytes += piece.length
      opened.resolve()
      if (bytes >= bytes_max) socket.pause()
    })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", resolve)
  return {
    ready: promise,
    opened: opened.promise,
    port: () => (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => void server.close(),
  }
}

test("a large POST that the server does not read does not keep the process", async () => {
  using server = deaf(1)
  await server.ready
  const life = lifeOf(`http://127.0.0.1:${server.port()}/`, limit.post_bytes_max, "fresh", server.opened)
  expect(await life).toBe("exit 0")
})

test("a handshake that the server does not answer does not keep the process", async () => {
  using server = deaf(Infinity)
  await server.ready
  expect(await lifeOf(`https://127.0.0.1:${server.port()}/`, 10, "fresh", server.opened)).toBe("exit 0")
})

test("a POST to the second address of a name does not keep the process", async () => {
  using server = rawServer(silence)
  expect(await lifeOf(`http://two.example:${server.port}/`, 10, "fresh", server.asked)).toBe("exit 0")
})
