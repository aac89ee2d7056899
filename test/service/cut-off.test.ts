/** A client that dies in the middle of its POST. */
import { connect } from "node:net"
import { expect, test } from "bun:test"
import { serveShareService, type ServiceEvent } from "../../src/service/index.ts"

test("a body that ends before its length is no failure of the service: it is answered 400, and nothing is decided", async () => {
  const events: ServiceEvent[] = []
  const answered = Promise.withResolvers<void>()
  const observe = (event: ServiceEvent) => {
    events.push(event)
    if (event.name === "request") answered.resolve()
  }
  await using service = serveShareService({ file: ":memory:", observe })
  const socket = connect(service.port, "127.0.0.1")
  await new Promise((resolve) => socket.once("connect", resolve))
  // Longer than what is read in one go, so that the service has begun when the client dies.
  const half = "x".repeat(200_000)
  const head = ["POST /rpc/share HTTP/1.1", "host: x", "content-type: text/plain", "content-length: 400000"]
  await new Promise((resolve) => socket.write(`${head.join("\r\n")}\r\n\r\n${half}`, resolve))
  socket.destroy()
  await answered.promise
  expect(events).toEqual([{ name: "request", method: "POST", path: "/rpc/share", status: 400, bytes: 0 }])
})
