/**
 * The bad network: all POSTs of both clients go through it to the service. A fault that is armed meets the next POST of
 * each client, so that both suffer the same.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Fault } from "./fault-plan.ts"

export type ClientName = "sturdy" | "memory"

export class FaultProxy {
  /** Faults that a POST of this client has met; connections refused are not seen here. */
  readonly met: Record<ClientName, number> = { sturdy: 0, memory: 0 }
  #server: Server | undefined
  #port = 0
  readonly #armed: Record<ClientName, Fault[]> = { sturdy: [], memory: [] }
  readonly #copies = new Set<Promise<void>>()
  #nextPost = Promise.withResolvers<void>()

  constructor(readonly service: string) {}

  /** Cap'n Web endpoint for this client. */
  endpoint(client: ClientName): string {
    return `http://127.0.0.1:${this.#port}/${client}/rpc/share`
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response))
    this.#server = server
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once("error", reject)
    server.listen(this.#port, "127.0.0.1", resolve)
    await promise
    this.#port = (server.address() as AddressInfo).port
  }

  /** Connections under way are cut, new ones refused. */
  refuse(): void {
    this.#server?.closeAllConnections()
    this.#server?.close()
    this.#server = undefined
  }

  arm(fault: Fault): void {
    for (const armed of Object.values(this.#armed)) armed.push(fault)
  }

  /** From here on the network is a good one; resolves when the last late copy has arrived. */
  async calm(): Promise<void> {
    for (const armed of Object.values(this.#armed)) armed.length = 0
    await Promise.all(this.#copies)
  }

  /** Resolves when a POST of the durable client is passed on, or after `ms_max`. */
  async nextPost(ms_max: number): Promise<void> {
    await Promise.race([this.#nextPost.promise, Bun.sleep(ms_max)])
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const cut = () => void request.socket.destroy()
    const body = await bodyOf(request).catch(() => undefined)
    if (body === undefined) return cut()
    const client: ClientName = request.url?.startsWith("/memory/") ? "memory" : "sturdy"
    const fault = this.#armed[client].shift()
    if (fault) this.met[client] += 1
    if (fault?.kind === "unavailable") return void response.writeHead(503).end("the demo says no\n")

    const answering = this.#pass(body)
    if (client === "sturdy") {
      this.#nextPost.resolve()
      this.#nextPost = Promise.withResolvers()
    }
    const answer = await answering.catch(() => undefined)
    if (!answer || fault?.kind === "answer_lost") return cut()
    if (fault?.kind === "late_copy") this.#copyLate(body, fault.hold_ms)
    response.writeHead(answer.status, { "content-type": answer.type, "content-length": answer.body.length })
    if (fault?.kind === "answer_cut")
      return void response.write(answer.body.subarray(0, answer.body.length / 2), () => setTimeout(cut, 5))
    response.end(answer.body)
  }

  async #pass(body: Uint8Array<ArrayBuffer>): Promise<{ status: number; type: string; body: Buffer }> {
    const answer = await fetch(`${this.service}/rpc/share`, { method: "POST", body })
    const type = answer.headers.get("content-type") ?? "text/plain"
    return { status: answer.status, type, body: Buffer.from(await answer.arrayBuffer()) }
  }

  #copyLate(body: Uint8Array<ArrayBuffer>, ms: number): void {
    const copy: Promise<void> = Bun.sleep(ms)
      .then(() => this.#pass(body))
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#copies.delete(copy))
    this.#copies.add(copy)
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return new Uint8Array(Buffer.concat(chunks))
}
