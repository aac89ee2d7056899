/**
 * One end of a TCP connection, read by asking for it, so that who is slow here makes the other side wait. Bun 1.3.14
 * takes a reset for an end in order (1.4.5 does not): there it is passed on as one.
 */
import { connect, type Socket } from "node:net"
import type { Ending } from "./fate.ts"

export class Peer {
  readonly #socket: Socket
  readonly #pieces: Buffer[] = []
  #ended: Ending | undefined
  #over = false
  #news = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<void>()

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on("data", (piece: Buffer) => {
      this.#pieces.push(piece)
      socket.pause()
      this.#tell()
    })
    socket.on("end", () => this.#onEnd("fin"))
    socket.on("error", () => this.#onEnd("rst"))
    socket.on("close", () => {
      this.#onEnd("rst")
      this.#closed.resolve()
    })
  }

  /** Resolves to a peer that can be written to, or undefined if nobody is there. */
  static async at(host: string, port: number): Promise<Peer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Peer | undefined>()
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.once("error", () => resolve(undefined))
    socket.once("connect", () => resolve(new Peer(socket)))
    return promise
  }

  /** How its side ended, as far as it is known. */
  get ended(): Ending | undefined {
    return this.#ended
  }

  /** `end` was called: it hears nothing more from us. */
  get over(): boolean {
    return this.#over
  }

  /** `read` has bytes at hand. */
  get hasBytes(): boolean {
    return this.#pieces.length > 0
  }

  /** Resolves when its side has ended; not while it has bytes that nobody reads. */
  async left(): Promise<Ending> {
    while (!this.#ended) await this.#news.promise
    return this.#ended
  }

  /** Nothing is open any longer. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** Resolves to true when `read` has bytes at hand, to false when its side has ended. Takes nothing. */
  async hasMore(): Promise<boolean> {
    while (!this.hasBytes) {
      if (this.#ended) return false
      await this.#news.promise
    }
    return true
  }

  /** The next bytes; null when its side has ended. */
  async read(): Promise<Buffer | null> {
    if (!(await this.hasMore())) return null
    const piece = this.#pieces.shift()!
    if (!this.hasBytes && !this.#ended) this.#socket.resume()
    return piece
  }

  /** Puts back what belongs to whoever reads next. */
  unread(bytes: Buffer): void {
    if (bytes.length > 0) this.#pieces.unshift(bytes)
  }

  /** Resolves when the bytes are with the kernel: false if they cannot be. */
  async write(bytes: Buffer): Promise<boolean> {
    if (this.#socket.destroyed || !this.#socket.writable) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#socket.write(bytes, (error) => resolve(!error))
    return Promise.race([promise, this.closed.then(() => false)])
  }

  /** Says that nothing more comes from us; what it still says is read. */
  finish(): void {
    this.#socket.end()
  }

  /** Ends our side; what its side still says is let go. */
  end(by: Ending): void {
    this.#over = true
    if (by === "rst") {
      this.#socket.resetAndDestroy()
      return
    }
    // Closed with bytes unread, it would be reset.
    this.#pieces.length = 0
    this.#socket.removeAllListeners("data")
    this.#socket.on("data", () => {})
    this.#socket.resume()
    this.#socket.end()
  }

  #onEnd(how: Ending): void {
    this.#ended ??= how
    this.#tell()
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers<void>()
  }
}
