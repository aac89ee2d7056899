/** Where an HTTP/1.1 message ends (RFC 9112 §6), told from its bytes as they come; nothing of it is judged. */

type Line = "start" | "header" | "chunk_size" | "chunk_end" | "trailer"

export class MessageScanner {
  /** Its first line, once that is there. Of a response: of the one that counts, not of an interim one. */
  startLine: string | undefined
  /** Bytes up to the first of the body, once the head is there. */
  headBytes = 0
  whole = false
  #state: "line" | "body" | "to_the_end" = "line"
  #expects: Line = "start"
  #line = ""
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0
  #bytes = 0
  #length: number | undefined
  #chunked = false
  readonly #body: Buffer[] = []

  constructor(
    readonly kind: "request" | "response",
    /** The response to a HEAD has no body. */
    readonly bodiless = false,
  ) {}

  /** The body of what was taken, without the frames of its chunks. */
  get body(): Buffer {
    return Buffer.concat(this.#body)
  }

  /** How many of the bytes are of this message: all of them, or up to its end. */
  take(bytes: Buffer): number {
    let used = 0
    while (!this.whole && used < bytes.length) used += this.#step(bytes.subarray(used))
    return used
  }

  /** The sender has ended: a message that lasts until then is whole. */
  end(): void {
    if (this.#state === "to_the_end") this.whole = true
  }

  #step(bytes: Buffer): number {
    if (this.#state === "line") return this.#count(this.#readLine(bytes))
    const part = this.#state === "to_the_end" ? bytes.length : Math.min(this.#left, bytes.length)
    this.#body.push(bytes.subarray(0, part))
    if (this.#state === "to_the_end") return this.#count(part)
    this.#left -= part
    if (this.#left === 0) {
      if (this.#chunked) this.#expect("chunk_end")
      else this.whole = true
    }
    return this.#count(part)
  }

  #count(bytes: number): number {
    this.#bytes += bytes
    return bytes
  }

  #readLine(bytes: Buffer): number {
    const end = bytes.indexOf("\n")
    const length = end < 0 ? bytes.length : end + 1
    this.#line += bytes.toString("latin1", 0, length)
    if (end < 0) return length
    const line = this.#line.replace(/\r?\n$/, "")
    this.#line = ""
    this.#onLine(line, this.#bytes + length)
    return length
  }

  #onLine(line: string, end: number): void {
    switch (this.#expects) {
      case "start":
        this.startLine = line
        return this.#expect("header")
      case "header":
        if (line === "") return this.#onHeadEnd(end)
        return this.#onHeader(line)
      case "chunk_size": {
        const size = Number.parseInt(line, 16)
        // Nobody can tell where it ends: then it ends with the connection.
        if (Number.isNaN(size)) return this.#toTheEnd()
        if (size === 0) return this.#expect("trailer")
        return this.#expectBody(size)
      }
      case "chunk_end":
        return this.#expect("chunk_size")
      case "trailer":
        if (line === "") this.whole = true
    }
  }

  #onHeader(line: string): void {
    const [, name, value] = /^([^:]+):\s*(.*?)\s*$/.exec(line) ?? []
    if (/^content-length$/i.test(name ?? "") && /^\d{1,15}$/.test(value!)) this.#length = Number(value)
    if (/^transfer-encoding$/i.test(name ?? "") && /\bchunked$/i.test(value!)) this.#chunked = true
  }

  #onHeadEnd(end: number): void {
    const status = this.kind === "response" ? Number(this.startLine!.split(" ")[1]) : undefined
    if (status !== undefined && status >= 100 && status < 200 && status !== 101) return this.#expect("start")
    this.headBytes = end
    if (this.bodiless || status === 204 || status === 304) this.whole = true
    else if (this.#chunked) this.#expect("chunk_size")
    else if (this.#length !== undefined) this.#expectBody(this.#length)
    else if (this.kind === "request") this.whole = true
    else this.#toTheEnd()
  }

  #expect(what: Line): void {
    this.#state = "line"
    this.#expects = what
  }

  #expectBody(bytes: number): void {
    this.#state = "body"
    this.#left = bytes
    if (bytes === 0) this.whole = true
  }

  #toTheEnd(): void {
    this.#state = "to_the_end"
  }
}

/** The message with only the first `bytes` of its body, which its head says is all. */
export function truncated(message: Buffer, { headBytes, body }: MessageScanner, bytes: number): Buffer {
  const lines = message.toString("latin1", 0, headBytes).trimEnd().split("\r\n")
  const kept = lines.filter((line) => !/^(?:content-length|transfer-encoding):/i.test(line))
  const part = body.subarray(0, bytes)
  return Buffer.concat([
    Buffer.from(`${[...kept, `content-length: ${part.length}`].join("\r\n")}\r\n\r\n`, "latin1"),
    part,
  ])
}

/** A whole response with these headers. */
export function response(status: number, headers: Record<string, string>, body = ""): Buffer {
  const all = { ...headers, "content-length": String(Buffer.byteLength(body)) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from(`HTTP/1.1 ${status} Fault proxy\r\n${lines.join("\r\n")}\r\n\r\n${body}`)
}
