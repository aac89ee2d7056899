/** The network of a test world: every POST has a fate, which the test decides. */
import { TransportFault, type Transport, type TransportRequest, type TransportResponse } from "../../wire/transport.ts"
import type { Client } from "./client.ts"
import type { Life } from "./life.ts"
import type { World } from "./world.ts"

/**
 * `late`: the client gives up, the request arrives when the test says. `hold`: the client waits until the test lets it
 * through. `{ cut: n }`: the server dies after n calls of the POST; the answer is lost.
 * `{ change }`: the answer arrives as something else. `{ status }`: a gateway answers with it, `served` after the
 * service has had the request.
 */
export type Fate =
  | "deliver"
  | "lose request"
  | "lose response"
  | "late"
  | "twice"
  | "hold"
  | { cut: number }
  | { status: number; served?: boolean }
  | Change

interface Change {
  change: (body: string) => string
}

interface Held {
  body: string
  answer: (response: TransportResponse) => void
}

export class Network {
  /** POSTs that left a client. */
  posts = 0
  activity = 0
  /** A gateway before the service takes no longer request, and answers 413. */
  bytes_max = Infinity
  readonly late: string[] = []
  readonly held: Held[] = []
  #script: { client: string; fate: Fate }[] = []
  readonly #running = new Set<Promise<unknown>>()

  constructor(
    readonly world: World,
    readonly serve: (body: string) => Promise<Response>,
  ) {}

  /** Fates of the next POSTs of a client; those after them are delivered. */
  script(client: string, fates: readonly Fate[]): void {
    for (const fate of fates) this.#script.push({ client, fate })
  }

  scripted(client: string): boolean {
    return this.#script.some((entry) => entry.client === client)
  }

  transport(client: Client, life: Life): Transport {
    return (request) => {
      if (life.dead) return new Promise(() => {})
      this.posts += 1
      this.activity += 1
      const index = this.#script.findIndex((entry) => entry.client === client.name)
      const scripted = index < 0 ? "deliver" : this.#script.splice(index, 1)[0]!.fate
      const fate: Fate = request.body.length > this.bytes_max ? { status: 413 } : scripted
      return this.#track(this.#meet(fate, request), fate === "hold")
    }
  }

  /** Lets a held POST through. */
  async release(index = 0): Promise<void> {
    const [held] = this.held.splice(index, 1)
    held!.answer(await this.#serve(held!.body))
    await this.world.calm()
  }

  /** A late request arrives; its sender has long gone. */
  async arrive(index = 0, { keep = false } = {}): Promise<void> {
    const body = this.late[index]!
    if (!keep) this.late.splice(index, 1)
    this.world.trace.push("late request arrives")
    await this.#serve(body)
    await this.world.calm()
  }

  async everythingArrives(): Promise<void> {
    while (this.late.length > 0) await this.arrive()
    while (this.held.length > 0) await this.release()
  }

  heal(): void {
    this.#script = []
    this.bytes_max = Infinity
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  async #meet(fate: Fate, request: TransportRequest): Promise<TransportResponse> {
    const { body } = request
    if (fate !== "deliver") this.world.trace.push(nameOf(fate))
    if (typeof fate === "object" && "status" in fate) {
      if (fate.served) await this.#serve(body)
      return { status: fate.status, retry_after: null, content_type: null, body: "" }
    }
    if (typeof fate === "object") {
      if ("change" in fate) {
        const answer = await this.#serve(body)
        return { ...answer, body: fate.change(answer.body) }
      }
      await this.#serve(firstCalls(body, fate.cut))
      throw lost()
    }
    switch (fate) {
      case "deliver":
        return this.#serve(body)
      case "twice":
        await this.#serve(body)
        return this.#serve(body)
      case "lose request":
        throw lost()
      case "lose response":
        await this.#serve(body)
        throw lost()
      case "late":
        this.late.push(body)
        throw new TransportFault("deadline", "unknown", "no complete answer in time")
      case "hold":
        return this.#hold(request)
    }
  }

  #hold({ body, signal }: TransportRequest): Promise<TransportResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>()
    const held = { body, answer: resolve }
    this.held.push(held)
    signal.addEventListener("abort", () => {
      // Given up by its sender, but still on its way.
      const index = this.held.indexOf(held)
      if (index >= 0) this.late.push(...this.held.splice(index, 1).map((gone) => gone.body))
      reject(new TransportFault("aborted", "unknown", "given up"))
    })
    return promise
  }

  async #serve(body: string): Promise<TransportResponse> {
    const response = await this.#track(this.serve(body))
    return {
      status: response.status,
      retry_after: response.headers.get("retry-after"),
      content_type: response.headers.get("content-type"),
      body: await response.text(),
    }
  }

  #track<T>(promise: Promise<T>, mayHang = false): Promise<T> {
    const done = () => {
      this.activity += 1
      this.#running.delete(promise)
    }
    promise.then(done, done)
    if (!mayHang) this.#running.add(promise)
    return promise
  }
}

function nameOf(fate: Fate): string {
  if (typeof fate === "string") return fate
  if ("status" in fate) return `${fate.status}${fate.served ? " after the service had it" : ""}`
  return "cut" in fate ? `cut after ${fate.cut} calls` : "changed answer"
}

function lost(): TransportFault {
  return new TransportFault("connection_lost", "unknown", "the connection was lost")
}

/** The text of a POST up to its n-th call, as a server has read it that then died. */
function firstCalls(body: string, calls: number): string {
  const lines = body.split("\n")
  let seen = 0
  const end = lines.findIndex((line) => (JSON.parse(line) as unknown[])[0] === "push" && ++seen > calls)
  return (end < 0 ? lines : lines.slice(0, end)).join("\n")
}
