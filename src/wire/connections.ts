/**
 * HTTP/1.1 connections of our own on node:net and node:tls, one request at a time on each. Not fetch, nor Bun 1.3.14's
 * node:http which stands on it: its request keeps the process alive until it is answered (measured on 1.3.14 and 1.4.5:
 * up to the deadline), and here whoever waits does that, not the socket. Only while it is being made does a connection
 * of Bun 1.4.5 hold the process, whatever is unref'd: `connect_deadline_ms` bounds that. It also makes the delivery
 * certain: what fails before the first byte is written was not sent, whatever the error is called; and nothing is ever
 * sent a second time.
 */
import { connect as connectPlain, isIP, type LookupFunction, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import * as limit from "../intent/limit.ts"
import type { Clock, Timer } from "../intent/seam.ts"
import { readAnswer, type HttpAnswer } from "./http-answer.ts"
import { TransportFault, type TransportFaultCode } from "./transport.ts"

/** Less than the idle time of common servers (Node 5 s, Bun 10 s): a request that meets their close is an outcome unknown. */
const idle_ms_max = 4_000

export interface ConnectOptions {
  /** PEM certificates to trust instead of Bun's own and NODE_EXTRA_CA_CERTS. */
  ca?: string
  /** Resolves names in the system's place. */
  lookup?: LookupFunction
}

interface Idle {
  socket: Socket
  /** Takes it out, its listeners and its timer with it. */
  leave: () => void
}

export class Connections {
  readonly #idle = new Map<string, Idle[]>()

  constructor(
    readonly clock: Clock,
    readonly options: ConnectOptions,
  ) {}

  /** Sends the bytes of one request once, and reads its answer. Rejects with `TransportFault`, or the signal's reason. */
  async exchange(url: URL, request: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    const socket = this.#take(url) ?? (await this.#connect(url, signal))
    try {
      const { answer, sent } = await converse(socket, request, signal, url)
      if (answer.reusable && sent && !socket.destroyed) this.#keep(url, socket)
      else socket.destroy()
      return answer
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async #connect(url: URL, signal: AbortSignal): Promise<Socket> {
    const late = new AbortController()
    const ms = limit.connect_deadline_ms
    const fault = new TransportFault("deadline", "not_sent", `no connection to ${url.origin} within ${ms} ms`)
    const timer = this.clock.timer(ms, () => late.abort(fault), false)
    try {
      return await connect(url, this.options, AbortSignal.any([signal, late.signal]))
    } finally {
      timer.cancel()
    }
  }

  #take(url: URL): Socket | undefined {
    // The last one that was put back: the others may grow old.
    const idle = this.#idle.get(url.origin)?.at(-1)
    idle?.leave()
    return idle?.socket
  }

  #keep(url: URL, socket: Socket): void {
    const list = this.#idle.get(url.origin) ?? []
    this.#idle.set(url.origin, list)
    const gone = () => {
      leave()
      socket.destroy()
    }
    const timer: Timer = this.clock.timer(idle_ms_max, gone, false)
    // Bytes that nobody asked for would be taken for the next answer.
    const events = ["data", "end", "error", "close"] as const
    const leave = () => {
      timer.cancel()
      for (const event of events) socket.off(event, gone)
      const place = list.findIndex((idle) => idle.socket === socket)
      if (place >= 0) list.splice(place, 1)
      if (list.length === 0) this.#idle.delete(url.origin)
    }
    for (const event of events) socket.on(event, gone)
    list.push({ socket, leave })
  }
}

/** A connection that is ready for the first byte. What goes wrong until then was not sent. */
async function connect(url: URL, options: ConnectOptions, signal: AbortSignal): Promise<Socket> {
  const secure = url.protocol === "https:"
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const port = Number(url.port || (secure ? 443 : 80))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = secure
    ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...options })
    : connectPlain({ host, port, ...options })
  socket.unref()
  // A name may have several addresses, tried one after another: in Bun 1.3.14 each attempt holds the process anew.
  socket.on("connectionAttempt", () => socket.unref())
  const onAbort = () => reject(signal.reason)
  const onClose = () => reject(new Error("closed"))
  signal.addEventListener("abort", onAbort, { once: true })
  // For the life of the socket: an error without a listener would end the process.
  socket.on("error", reject)
  socket.once("close", onClose)
  socket.once(secure ? "secureConnect" : "connect", resolve)
  try {
    await promise
    socket.unref()
    socket.setNoDelay(true)
    return socket
  } catch (error) {
    socket.destroy()
    throw notSent(error, url)
  } finally {
    signal.removeEventListener("abort", onAbort)
    socket.off("close", onClose)
  }
}

async function converse(
  socket: Socket,
  request: Buffer,
  signal: AbortSignal,
  url: URL,
): Promise<{ answer: HttpAnswer; sent: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const reading = readAnswer()
  reading.next()
  const feed = (piece: Buffer | null) => {
    try {
      const { done, value } = reading.next(piece)
      if (done && value) resolve(value)
    } catch (error) {
      reject(error)
    }
  }
  const onEnd = () => feed(null)
  const onError = (cause: Error) => reject(lost(url, cause))
  const onClose = () => reject(lost(url))
  const onAbort = () => reject(signal.reason)
  let sent = false
  socket.on("data", feed).on("end", onEnd).on("error", onError).on("close", onClose)
  signal.addEventListener("abort", onAbort, { once: true })
  try {
    if (signal.aborted) throw notSent(signal.reason, url)
    if (socket.destroyed) throw notSent(new Error("closed"), url)
    socket.write(request, (error) => {
      sent = !error
    })
    const answer = await promise
    return { answer, sent }
  } finally {
    signal.removeEventListener("abort", onAbort)
    socket.off("data", feed).off("end", onEnd).off("error", onError).off("close", onClose)
  }
}

function lost(url: URL, cause?: Error): TransportFault {
  const code = codeOf(cause)
  const what = `the connection to ${url.origin} was lost${code && ` (${code})`}`
  return new TransportFault("connection_lost", "unknown", what, { cause })
}

/** Node's names of what can go wrong while connecting; anything else there is of TLS. */
const connecting: Record<string, [TransportFaultCode, string]> = {
  ECONNREFUSED: ["refused", "refused the connection"],
  ENOTFOUND: ["name_not_found", "was not found"],
  EAI_AGAIN: ["name_not_found", "was not found"],
  EAI_FAIL: ["name_not_found", "was not found"],
  EAI_NODATA: ["name_not_found", "was not found"],
  EHOSTUNREACH: ["unreachable", "cannot be reached from here"],
  EHOSTDOWN: ["unreachable", "cannot be reached from here"],
  ENETUNREACH: ["unreachable", "cannot be reached from here"],
  ENETDOWN: ["unreachable", "cannot be reached from here"],
  EADDRNOTAVAIL: ["unreachable", "cannot be reached from here"],
  ETIMEDOUT: ["unreachable", "cannot be reached from here"],
}

function notSent(error: unknown, { origin, protocol }: URL): TransportFault {
  if (error instanceof TransportFault) return new TransportFault(error.code, "not_sent", error.message, error.details)
  const code = codeOf(error)
  const details = { cause: error }
  const known = connecting[code]
  if (known) return new TransportFault(known[0], "not_sent", `${origin} ${known[1]}`, details)
  if (protocol === "https:" && /^(?!E[A-Z]+$)./.test(code))
    return new TransportFault("tls", "not_sent", `no secure connection to ${origin} (${code})`, details)
  const what = `the connection to ${origin} was lost before anything was sent${code && ` (${code})`}`
  return new TransportFault("connection_lost", "not_sent", what, details)
}

export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""
}
