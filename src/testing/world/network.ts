/** The network of a world: every POST has a fate, which the test decides, and takes the time that the test says. */
import { type Transport, TransportFault, type TransportRequest, type TransportResponse } from "../../wire/transport.ts"
import type { Client } from "./client.ts"
import { type Fate, firstCalls, gatewayAnswer, lost, nameOf, portal } from "./fate.ts"
import type { Life } from "./life.ts"
import type { World } from "./world.ts"

export type { Fate } from "./fate.ts"

interface Held {
  body: string
  answer: (response: TransportResponse) => void
}

/** One way of a POST, ms. */
export interface Travel {
  request_ms: number
  response_ms: number
}

export class Network {
  /** POSTs that left a client. */
  posts = 0
  /** A gateway before the service takes no longer request, and answers 413. */
  bytes_max = Infinity
  /** How long the next POST of a client is on its way. */
  travel: (client: Client) => Travel = () => ({ request_ms: 0, response_ms: 0 })
  /** What becomes of a POST for which no script says it. */
  weather: (client: Client) => Fate = () => "deliver"
  /** Told of each POST that leaves, and of what its sender hears. */
  left: (client: Client, request: TransportRequest) => void = () => {}
  heard: (client: Client, request: TransportRequest, answer: TransportResponse | TransportFault) => void = () => {}
  readonly late: string[] = []
  readonly held: Held[] = []
  #script: { client: string; fate: Fate }[] = []
  readonly #travelling = new Set<() => void>()

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
    return (request) =>
      new Promise((resolve, reject) => {
        if (life.dead) return
        this.posts += 1
        this.left(client, request)
        let told = false
        const tell = (answer: TransportResponse | TransportFault) =>
          life.whenRunning(() => {
            if (told) return
            told = true
            over.cancel()
            this.heard(client, request, answer)
            if (answer instanceof TransportFault) reject(answer)
            else resolve(answer)
          })
        const { clock } = this.world
        const deadline = () => tell(new TransportFault("deadline", "unknown", "no complete answer in time"))
        const over = clock.timer(request.deadline_ms, deadline)
        request.signal.addEventListener("abort", () => tell(new TransportFault("aborted", "unknown", "given up")))
        const fate = request.body.length > this.bytes_max ? { status: 413 } : this.#fateOf(client)
        this.#meet(fate, request, this.travel(client)).then(tell, tell)
      })
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
    this.world.say("late request arrives")
    await this.#serve(body)
    await this.world.calm()
  }

  async everythingArrives(): Promise<void> {
    while (this.late.length > 0) await this.arrive()
    while (this.held.length > 0) await this.release()
  }

  /** Everything that travels is there now. */
  hurry(): void {
    for (const arrive of this.#travelling) arrive()
  }

  heal(): void {
    this.#script = []
    this.bytes_max = Infinity
    this.weather = () => "deliver"
  }

  #fateOf(client: Client): Fate {
    const index = this.#script.findIndex((entry) => entry.client === client.name)
    return index < 0 ? this.weather(client) : this.#script.splice(index, 1)[0]!.fate
  }

  async #meet(fate: Fate, request: TransportRequest, travel: Travel): Promise<TransportResponse> {
    if (fate !== "deliver") this.world.say(nameOf(fate))
    if (fate === "refuse") throw new TransportFault("refused", "not_sent", "nobody listens")
    await this.#pass(travel.request_ms)
    const answer = await this.#reach(fate, request)
    await this.#pass(travel.response_ms)
    if (fate === "lose response" || (typeof fate === "object" && "cut" in fate)) throw lost()
    return answer
  }

  async #reach(fate: Exclude<Fate, "refuse">, request: TransportRequest): Promise<TransportResponse> {
    const { body } = request
    if (typeof fate === "string") return this.#reachNamed(fate, request)
    if ("status" in fate) {
      if (fate.served) await this.#serve(body)
      return gatewayAnswer(fate.status, fate.retry_after)
    }
    if ("cut" in fate) return this.#serve(firstCalls(body, fate.cut))
    if ("late_ms" in fate) {
      await this.#pass(fate.late_ms)
      const answer = await this.#serve(body)
      if (fate.doubled_ms) void this.#pass(fate.doubled_ms).then(() => this.#serve(body))
      return answer
    }
    const answer = await this.#serve(body)
    if ("slow_ms" in fate) await this.#pass(fate.slow_ms)
    return "change" in fate ? { ...answer, body: fate.change(answer.body) } : answer
  }

  async #reachNamed(
    fate: Exclude<Extract<Fate, string>, "refuse">,
    request: TransportRequest,
  ): Promise<TransportResponse> {
    const { body } = request
    switch (fate) {
      case "twice":
        await this.#serve(body)
        return this.#serve(body)
      case "lose request":
        throw lost()
      case "late":
        this.late.push(body)
        throw new TransportFault("deadline", "unknown", "no complete answer in time")
      case "hold":
        return this.#hold(request)
      case "html":
        return portal
      case "redirect":
        return gatewayAnswer(302)
      case "half an answer": {
        const answer = await this.#serve(body)
        return { ...answer, body: answer.body.slice(0, answer.body.length / 2) }
      }
      default:
        return this.#serve(body)
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
    const response = await this.serve(body)
    return {
      status: response.status,
      retry_after: response.headers.get("retry-after"),
      content_type: response.headers.get("content-type"),
      body: await response.text(),
    }
  }

  async #pass(ms: number): Promise<void> {
    if (ms <= 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.world.clock.timer(ms, resolve)
    const arrive = () => {
      timer.cancel()
      resolve()
    }
    this.#travelling.add(arrive)
    await promise
    this.#travelling.delete(arrive)
  }
}
