/**
 * A client as its host sees it: a process that may die at any time. The host keeps an event until the client has
 * acknowledged it, and gives what was not acknowledged to the next process.
 */
import { basename } from "node:path"
import type { Subprocess } from "bun"
import { jsonLines, type FromClient, type ToClient } from "./pipe.ts"

export class HostedClient {
  posts = 0
  retries = 0
  pending = 0
  /** Events that a later process got again, because the one before had not acknowledged them. */
  repeated = 0
  #child: Subprocess<"pipe", "pipe", "pipe"> | undefined
  #heard = Promise.resolve()
  #open: Extract<ToClient, { place: number }>[] = []
  #killing = false
  #finished = false
  readonly #done = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()

  /** The script, and its arguments. `first` is said to every process before any event. */
  constructor(
    readonly command: string[],
    readonly first?: ToClient,
  ) {
    this.#failed.promise.catch(() => {})
  }

  start(): void {
    this.#killing = false
    const child = Bun.spawn([process.execPath, ...this.command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    })
    this.#child = child
    this.#heard = this.#listen(child)
    if (this.first) this.#say(this.first)
    this.repeated += this.#open.length
    for (const message of this.#open) this.#say(message)
  }

  feed(message: Extract<ToClient, { place: number }>): void {
    this.#open.push(message)
    if (!this.#killing) this.#say(message)
  }

  async kill(): Promise<void> {
    this.#killing = true
    this.#child?.kill("SIGKILL")
    await this.#child?.exited
    // What it had said before it died counts.
    await this.#heard
  }

  /** Lets it send what it still has. */
  async finish(): Promise<void> {
    this.#say({ finish: true })
    await this.#done.promise
  }

  /** Rejects when the process ends by itself, or cannot finish; never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  #say(message: ToClient): void {
    try {
      this.#child!.stdin.write(`${JSON.stringify(message)}\n`)
      void Promise.resolve(this.#child!.stdin.flush()).catch(() => {})
    } catch {
      // It is dead or dying: the message is kept until a process acknowledges it.
    }
  }

  async #listen(child: Subprocess<"pipe", "pipe", "pipe">): Promise<void> {
    const errors = new Response(child.stderr).text()
    for await (const messages of jsonLines<FromClient>(child.stdout)) messages.forEach((message) => this.#hear(message))
    await child.exited
    if (this.#killing || this.#finished) return
    this.#failed.reject(
      new Error(`${basename(this.command[0]!)} ended by itself: ${(await errors).trim() || child.exitCode}`),
    )
  }

  #hear(message: FromClient): void {
    if ("done" in message) {
      if (message.done.problem) return this.#failed.reject(new Error(message.done.problem))
      this.#finished = true
      return this.#done.resolve()
    }
    if ("sent" in message) {
      this.posts += 1
      if (message.sent.attempt > 1) this.retries += 1
      return
    }
    this.pending = message.pending
    this.#open = this.#open.filter(({ place }) => place > message.acked)
  }
}
