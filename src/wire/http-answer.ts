/**
 * Reads one HTTP/1.1 answer off the bytes of a connection, strictly (RFC 9112 §6): what is not whole, or can be read
 * in two ways, is no answer. Pure: `next(bytes)` for what came, `next(null)` when the sender ended.
 */
import * as limit from "../intent/limit.ts"
import { TransportFault } from "./transport.ts"

export interface HttpAnswer {
  status: number
  headers: Headers
  body: Buffer
  /** The connection can carry another request. */
  reusable: boolean
}

/** Asks for more by yielding; returns what it read. */
type Reading<T> = Generator<undefined, T, Buffer | null>

/** Bytes of one line and of all headers: more than any server sends, little enough to hold. */
const head_bytes_max = 64 * 1024

/** Chunks of one body. Servers send kilobytes in each; one byte in each is an attack on our memory and our turn. */
const chunks_max = 50_000

const no_body = new Set([204, 304])

export function* readAnswer(): Reading<HttpAnswer> {
  const input = new Input()
  for (;;) {
    const statusLine = yield* input.line()
    const [, minor, code] = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/.exec(statusLine) ?? []
    if (!code) throw broken("it does not begin as HTTP/1.1")
    const status = Number(code)
    if (status === 101) throw broken("it changes the protocol")
    const headers = yield* readHeaders(input)
    // Interim answers (100, 103) come before the one that counts.
    if (status < 200) continue
    const framing = no_body.has(status) ? 0 : framingOf(headers)
    const body = yield* readBody(input, framing)
    const lasting = framing !== "end" && minor === "1" && !/\bclose\b/i.test(headers.get("connection") ?? "")
    return { status, headers, body, reusable: lasting && input.empty }
  }
}

function* readHeaders(input: Input): Reading<Headers> {
  const headers = new Headers()
  let bytes = 0
  for (;;) {
    const line = yield* input.line()
    if (line === "") return headers
    bytes += line.length
    if (bytes > head_bytes_max) throw tooLarge(`headers over ${head_bytes_max} bytes`)
    const colon = line.indexOf(":")
    if (colon < 1) throw broken("a header is malformed")
    try {
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim())
    } catch {
      throw broken("a header is malformed")
    }
  }
}

/** How the body ends: after so many bytes, with its last chunk, or with the connection. */
function framingOf(headers: Headers): number | "chunked" | "end" {
  const encoding = headers.get("transfer-encoding")
  if (encoding !== null) {
    if (encoding.toLowerCase() === "chunked") return "chunked"
    throw broken("its transfer-encoding is not known here")
  }
  const text = headers.get("content-length")
  if (text === null) return "end"
  const lengths = new Set(text.split(",").map((length) => length.trim()))
  const [length] = lengths
  if (lengths.size > 1 || !/^\d{1,15}$/.test(length!)) throw broken("its content-length is no length")
  return Number(length)
}

function* readBody(input: Input, framing: number | "chunked" | "end"): Reading<Buffer> {
  const body = new Body()
  if (framing === "end") {
    do body.add(input.take(Infinity))
    while (yield* input.more())
    return body.whole()
  }
  if (framing !== "chunked") {
    yield* readBytes(input, framing, body)
    return body.whole()
  }
  for (let chunks = 0; ; chunks++) {
    if (chunks > chunks_max) throw tooLarge(`more than ${chunks_max} chunks in its body`)
    const [, hex] = /^([\da-f]{1,8})\s*(?:;.*)?$/i.exec(yield* input.line()) ?? []
    if (!hex) throw broken("a chunk has no size")
    const size = Number.parseInt(hex, 16)
    if (size === 0) break
    yield* readBytes(input, size, body)
    if ((yield* input.line()) !== "") throw broken("a chunk is longer than its size")
  }
  yield* readHeaders(input)
  return body.whole()
}

function* readBytes(input: Input, count: number, body: Body): Reading<void> {
  // Said beforehand: it need not be received to be refused.
  body.expect(count)
  for (let left = count; left > 0;) {
    if (input.empty && !(yield* input.more())) throw broken("it ends before its body does")
    const part = input.take(left)
    body.add(part)
    left -= part.length
  }
}

/** What has come and was not read yet. */
class Input {
  #rest = Buffer.alloc(0)

  get empty(): boolean {
    return this.#rest.length === 0
  }

  /** False when the sender has ended. */
  *more(): Reading<boolean> {
    const piece = yield
    if (piece === null) return false
    this.#rest = this.empty ? (piece as Buffer<ArrayBuffer>) : Buffer.concat([this.#rest, piece])
    return true
  }

  take(count: number): Buffer {
    const part = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(part.length)
    return part
  }

  /** Without its end. */
  *line(): Reading<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n")
      if (end >= 0)
        return this.take(end + 1)
          .toString("latin1")
          .replace(/\r?\n$/, "")
      if (this.#rest.length > head_bytes_max) throw tooLarge(`a line over ${head_bytes_max} bytes`)
      if (!(yield* this.more())) throw broken("it ends in the middle")
    }
  }
}

/** One buffer that grows: what a part was cut from is not held. */
class Body {
  #buffer = Buffer.alloc(0)
  #bytes = 0

  expect(count: number): void {
    if (this.#bytes + count > limit.response_bytes_max)
      throw tooLarge(`more than ${limit.response_bytes_max} bytes in its body`)
  }

  add(part: Buffer): void {
    this.expect(part.length)
    const needed = this.#bytes + part.length
    if (needed > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(needed, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, this.#bytes)
      this.#buffer = grown
    }
    part.copy(this.#buffer, this.#bytes)
    this.#bytes = needed
  }

  whole(): Buffer {
    return this.#buffer.subarray(0, this.#bytes)
  }
}

function broken(why: string): TransportFault {
  return new TransportFault("connection_lost", "unknown", `no whole HTTP answer came: ${why}`)
}

function tooLarge(what: string): TransportFault {
  return new TransportFault("response_too_large", "unknown", `the response has ${what}`)
}
