/** Where HTTP messages end, however their bytes come. */
import { expect, test } from "bun:test"
import { MessageScanner, truncated } from "../../src/testing/fault-proxy/message.ts"

const messages: [name: string, kind: "request" | "response", text: string, body: string][] = [
  ["a request with a length", "request", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "abc"],
  ["a request without a body", "request", "GET / HTTP/1.1\r\nhost: x\r\n\r\n", ""],
  ["a response with a length", "response", "HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", "abc"],
  ["a response of no bytes", "response", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""],
  ["a response that has no body by its status", "response", "HTTP/1.1 204 No Content\r\n\r\n", ""],
  [
    "a body in chunks",
    "response",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
    "abc",
  ],
  [
    "chunks with a trailer",
    "request",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n",
    "a",
  ],
  [
    "an interim answer before the answer",
    "response",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
    "a",
  ],
]

for (const [name, kind, text, body] of messages)
  test(`${name} ends where it ends, in whatever pieces it comes`, () => {
    const next = "HTTP/1.1 of the next message"
    const bytes = Buffer.from(text + next)
    for (let cut = 0; cut <= text.length; cut++) {
      const scanner = new MessageScanner(kind)
      const first = scanner.take(bytes.subarray(0, cut))
      expect([first, scanner.whole]).toEqual([cut, cut === text.length])
      const second = scanner.take(bytes.subarray(cut))
      expect([first + second, scanner.whole, scanner.body.toString()]).toEqual([text.length, true, body])
    }
  })

test("a response without a length ends with its connection", () => {
  const scanner = new MessageScanner("response")
  const bytes = Buffer.from("HTTP/1.1 200 OK\r\n\r\nabc")
  expect([scanner.take(bytes), scanner.whole]).toEqual([bytes.length, false])
  scanner.end()
  expect([scanner.whole, scanner.body.toString()]).toEqual([true, "abc"])
})

test("the answer to a HEAD has no body, whatever length it says", () => {
  const scanner = new MessageScanner("response", true)
  const bytes = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
  expect([scanner.take(Buffer.concat([bytes, Buffer.from("HTTP")])), scanner.whole]).toEqual([bytes.length, true])
})

test("a message that is truncated says the length that it then has, in chunks before or not", () => {
  for (const [, kind, text, body] of messages.filter(
    ([name]) => name.includes("with a length") || name.includes("in chunks"),
  )) {
    const scanner = new MessageScanner(kind)
    scanner.take(Buffer.from(text))
    const short = truncated(Buffer.from(text), scanner, 2)
    const again = new MessageScanner(kind)
    expect([again.take(short), again.whole, again.body.toString()]).toEqual([short.length, true, body.slice(0, 2)])
    expect(short.toString()).toStartWith(text.slice(0, text.indexOf("\r\n")))
  }
})
