/** A share service on a port of its own that keeps that port while it is down, is slow, or has a gateway in front. */
import { createShareService, opencodeMethods } from "../../../src/service/index.ts"
import type { Seams } from "../../../src/intent/seam.ts"
import { noteMethods, type NoteRules } from "./notes.ts"

/** What stands between the port and the service. `through` takes the request to the service. */
export type Gateway = (request: Request, through: () => Promise<Response>) => Promise<Response>

export class ShareHost implements AsyncDisposable {
  /** Of the notes app: a test may mend what was rejected. */
  readonly rules: NoteRules = { taken: new Set(), text_chars_max: 2_000 }
  /** Origin, without a trailing slash; it stays the same. */
  readonly url: string
  readonly #port: number
  readonly #service: ReturnType<typeof createShareService>
  #server: Bun.Server<undefined> | undefined
  #gateway: Gateway = (_, through) => through()

  constructor(file: string, seams: Seams) {
    const methods = { ...opencodeMethods, ...noteMethods(this.rules) }
    this.#service = createShareService({ file, seams, methods, observe: throwFailure })
    this.#server = this.#listen(0)
    this.#port = this.#server.port!
    this.url = this.#server.url.origin
  }

  /** Listens again. */
  start(): void {
    this.#server ??= this.#listen(this.#port)
  }

  /** Nothing listens at its port: connections are refused. What was under way is cut off. */
  async stop(): Promise<void> {
    await this.#server?.stop(true)
    this.#server = undefined
  }

  /** From now on; without one, requests go to the service. */
  behind(gateway: Gateway = (_, through) => through()): void {
    this.#gateway = gateway
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    this.#service.close()
  }

  #listen(port: number): Bun.Server<undefined> {
    return Bun.serve({
      port,
      hostname: "127.0.0.1",
      idleTimeout: 60,
      fetch: (request) => this.#gateway(request, () => this.#service.fetch(request)),
    })
  }
}

/** A gateway that takes nothing for now. */
export function maintenance(retry_after_s: number): Gateway {
  return async () => new Response(null, { status: 503, headers: { "retry-after": String(retry_after_s) } })
}

export function slow(delay_ms: number): Gateway {
  return async (_, through) => {
    await Bun.sleep(delay_ms)
    return through()
  }
}

function throwFailure(event: { name: string; error?: unknown }): void {
  if (event.name === "failure") throw event.error
}
