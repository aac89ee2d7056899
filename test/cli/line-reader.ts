/** Standard output of a process, line by line, awaited. */
export class LineReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>
  readonly #decoder = new TextDecoder()
  #text = ""

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader()
  }

  /** Undefined at the end. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n")
      if (end >= 0) {
        const line = this.#text.slice(0, end)
        this.#text = this.#text.slice(end + 1)
        return line
      }
      const { value, done } = await this.#reader.read()
      if (done) return
      this.#text += this.#decoder.decode(value, { stream: true })
    }
  }

  /** All lines up to the first that fits, which is the last of them. */
  async until(fits: RegExp): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.next()
      if (line === undefined) throw new Error(`ended before ${fits}, after:\n${lines.slice(-20).join("\n")}`)
      lines.push(line)
      if (fits.test(line)) return lines
    }
  }
}
