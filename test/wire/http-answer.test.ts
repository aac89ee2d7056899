/** The reader of HTTP answers: however the bytes fall, and wherever they end. */
import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { readAnswer } from "../../src/wire/http-answer.ts"
import { TransportFault } from "../../src/wire/transport.ts"

/** What is read of the bytes in pieces of this size; then the connection ends, unless `open`. */
function read(text: string | Buffer, size = Infinity, open = false) {
  const bytes = Buffer.from(text as string)
  const reading = readAnswer()
  reading.next()
  try {
    for (let at = 0; at < bytes.length; at += size) {
      const step = reading.next(bytes.subarray(at, at + size))
      if (step.done) return said(step.value)
    }
    if (open) return "waits"
    const step = reading.next(null)
    return step.done ? said(step.value) : "waits"
  } catch (error) {
    if (!(error instanceof TransportFault)) throw error
    expect(error.delivery).toBe("unknown")
    return `${error.code}: ${error.message}`
  }
}

const said = ({ status, body, reusable }: { status: number; body: Buffer; reusable: boolean }) =>
  `${status} ${JSON.stringify(body.toString())}${reusable ? "" : ", then closes"}`

const line = '["resolve",1,1]'
const framed = {
  "a content-length": `HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${line}`,
  chunks: `HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n7;ext="a"\r\n${line.slice(0, 7)}\r\n8\r\n${line.slice(7)}\r\n0\r\nx-trailer: 1\r\n\r\n`,
}
for (const [how, text] of Object.entries(framed)) {
  test(`an answer with ${how} is the same in pieces of any size`, () => {
    for (let size = 1; size <= text.length; size++) expect(read(text, size, true)).toBe(`200 ${JSON.stringify(line)}`)
  })

  test(`an answer with ${how} that is cut at any byte is no answer`, () => {
    for (let bytes = 0; bytes < text.length; bytes++) {
      expect(read(text.slice(0, bytes), Infinity, true)).toBe("waits")
      expect(read(text.slice(0, bytes))).toStartWith("connection_lost: no whole HTTP answer came: it ends")
    }
  })
}

test("an answer that only the end of the connection ends is what came before it, in pieces of any size", () => {
  const text = `HTTP/1.1 200 OK\r\n\r\n${line}`
  for (let size = 1; size <= text.length; size++) {
    expect(read(text, size, true)).toBe("waits")
    expect(read(text, size)).toBe(`200 ${JSON.stringify(line)}, then closes`)
  }
})

test.each([
  ["a 204 has no body, whatever it says of one", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", '204 ""'],
  ["a 304 has none", "HTTP/1.1 304 Not Modified\r\n\r\n", '304 ""'],
  ["lines may end without a carriage return", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", '200 "ok"'],
  ["a reason may be missing", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", '200 "ok"'],
  ["the same length twice is one", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length: 2\r\n\r\nok", '200 "ok"'],
  [
    "chunks count more than a length",
    `${framed.chunks.replace("\r\n", "\r\ncontent-length: 3\r\n")}`,
    `200 ${JSON.stringify(line)}`,
  ],
  [
    "a server may say that it closes",
    "HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok",
    '200 "ok", then closes',
  ],
  ["HTTP/1.0 closes", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", '200 "ok", then closes'],
  [
    "bytes after the answer are nobody's",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK",
    '200 "ok", then closes',
  ],
])("%s", (_, text, answer) => {
  expect(read(text, Infinity, true)).toBe(answer)
})

const head = "HTTP/1.1 200 OK\r\n"
test.each([
  ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n"],
  ["a status of six digits", "HTTP/1.1 200200 OK\r\n\r\n"],
  ["a change of protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"],
  ["two lengths that differ", `${head}content-length: 2\r\ncontent-length: 3\r\n\r\nok?`],
  ["a negative length", `${head}content-length: -1\r\n\r\n`],
  ["a length with a sign", `${head}content-length: +2\r\n\r\nok`],
  ["a length in hex", `${head}content-length: 0x2\r\n\r\nok`],
  ["an empty length", `${head}content-length:\r\n\r\nok`],
  ["a transfer encoding beside chunked", `${head}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ["chunked twice", `${head}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["a chunk without a size", `${head}transfer-encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n`],
  ["a chunk of a negative size", `${head}transfer-encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n`],
  ["a chunk longer than its size", `${head}transfer-encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n`],
  ["a header without a colon", `${head}content-length 2\r\n\r\nok`],
  ["a header without a name", `${head}: 2\r\n\r\nok`],
  ["a folded header", `${head}x-a: 1\r\n content-length: 2\r\n\r\nok`],
  ["a space before the colon", `${head}content-length : 2\r\n\r\nok`],
])("%s is no answer", (_, text) => {
  expect(read(text)).toStartWith("connection_lost: no whole HTTP answer came: ")
})

test.each([
  ["an endless line", head + "x".repeat(70_000)],
  ["endless headers", head + "x-a: 1\r\n".repeat(20_000)],
  ["a body that announces itself over the cap", `${head}content-length: ${limit.response_bytes_max + 1}\r\n\r\n`],
  ["a chunk that announces itself over the cap", `${head}transfer-encoding: chunked\r\n\r\nffffffff\r\n`],
])("%s is given up before it has come", (_, text) => {
  expect(read(text, 1_024, true)).toStartWith("response_too_large: ")
})

test("a body of unknown length is given up at the cap", () => {
  const reading = readAnswer()
  reading.next()
  reading.next(Buffer.from(`${head}\r\n`))
  const piece = Buffer.alloc(1024 * 1024)
  for (let mib = 0; mib < limit.response_bytes_max / piece.length; mib++) reading.next(piece)
  expect(() => reading.next(Buffer.from("x"))).toThrow(String(limit.response_bytes_max))
})

test("a body in chunks of one byte is given up long before the cap: neither memory nor the turn is the sender's", () => {
  const head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
  expect(read(head + "1\r\nx\r\n".repeat(60_000), 64 * 1024)).toBe(
    "response_too_large: the response has more than 50000 chunks in its body",
  )
  // A window of results in the chunks that servers send is far from it.
  const part = "x".repeat(4_000)
  expect(read(`${head}${`fa0\r\n${part}\r\n`.repeat(2_000)}0\r\n\r\n`, 64 * 1024)).toStartWith("200 ")
})
