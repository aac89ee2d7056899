/**
 * `POST /rpc/share`: one Cap'n Web batch. The calls of one POST run in order, each committed before the next: a line
 * is read only when what the lines before it started is done. capnweb's own batch server reads on while a call waits
 * for arguments that are results of earlier calls.
 */
import { RpcSession, type RpcTarget, type RpcTransport } from "capnweb"
import { ShareError } from "./share-error.ts"

/**
 * Microtask turns before each line is read. A call whose arguments wait for an earlier line was measured to need
 * fewer than 4 beyond those of capnweb 0.12's own loop (test/service/rpc.test.ts); the handlers are synchronous.
 */
const turns_per_line = 32

export async function answerBatch(lines: string[], target: RpcTarget): Promise<string> {
  const transport = new LinesTransport(lines)
  const session = new RpcSession(transport, target, { onSendError: publicError })
  await transport.received
  await session.drain()
  return transport.sent.join("\n")
}

class LinesTransport implements RpcTransport {
  readonly sent: string[] = []
  readonly #lines: string[]
  #next = 0
  readonly #received = Promise.withResolvers<void>()

  constructor(lines: string[]) {
    this.#lines = lines
  }

  /** Rejects when a line is not of the protocol; the lines before it were executed. */
  get received(): Promise<void> {
    return this.#received.promise
  }

  async send(message: string): Promise<void> {
    this.sent.push(message)
  }

  async receive(): Promise<string> {
    const line = this.#lines[this.#next++]
    for (let turn = 0; turn < turns_per_line; turn++) await undefined
    if (line !== undefined) return line
    this.#received.resolve()
    return new Promise(() => {})
  }

  abort(reason: unknown): void {
    this.#received.reject(reason)
  }
}

/** Ours are made for the client. Others are capnweb's own: only a missing method is told, without any text of ours. */
function publicError(error: Error): Error {
  const shown =
    error instanceof ShareError
      ? error
      : /^'[^']*' is not a function\.$/.test(error.message)
        ? new ShareError("unsupported", "this server has no such method")
        : new ShareError("internal", "the server failed")
  // capnweb sends the stack of what is returned here.
  delete shown.stack
  return shown
}
