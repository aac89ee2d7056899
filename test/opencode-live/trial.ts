/** One trial: a box, a share service with faults, opencode in it, and what is done to them. */
import { join } from "node:path"
import { Box, type PluginSpec } from "./box.ts"
import type { OpencodeClient } from "./client.ts"
import { lostEvents, recordedEvents, type RecordedEvent } from "./lost-events.ts"
import { serve, type Serving } from "./process.ts"
import type { Provider } from "./provider.ts"
import { Service } from "./service.ts"
import type { Subject } from "./subject.ts"

export interface Trial {
  name: string
  /** For the table: what went wrong, or was done. */
  what: string
  /** What must be of the share at the end. @default "open" */
  share?: "open" | "gone"
  /** It shares while the service is away: where only the service can say the URL, that fails, and nothing is made later. */
  shares_offline?: true
  /** How long after the last step it may take. @default 75 000, longer than the longest pause between two attempts */
  deadline_ms?: number
  /** Further options of the plugin. */
  options?: Record<string, unknown>
  /** Environment of opencode. */
  env?: Record<string, string>
  /** Of opencode's configuration. @default "manual" */
  sharing?: "manual" | "auto"
  /** False: the trial starts opencode itself. @default true */
  started?: false
  run(lab: Lab): Promise<void>
}

export interface Ground {
  binary: string
  /** Lent to every box, see there. */
  seed: string
  provider: Provider
  subject: Subject
  /** Of this trial alone. */
  folder: string
}

const recorder: PluginSpec = `file://${join(import.meta.dir, "recorder-plugin.ts")}`

export class Lab implements AsyncDisposable {
  /** Sessions whose shares are looked at in the end. Without any: the first one that has no parent. */
  readonly sessions = new Set<string>()
  /** From the end of the fault until everything that had happened by then had reached the service. */
  caught_up_ms: number | undefined
  #opencode: Serving | undefined
  #catchingUp: Promise<void> | undefined
  #over = false

  private constructor(
    readonly box: Box,
    readonly service: Service,
    readonly subject: Subject,
    private readonly options: Record<string, unknown>,
    private readonly events_file: string,
  ) {}

  static async open(ground: Ground, trial: Trial): Promise<Lab> {
    const { binary, seed, provider, subject, folder } = ground
    const service = await Service.open(subject.service, folder)
    const events_file = join(folder, "events.jsonl")
    const options = trial.options ?? {}
    const box = new Box({
      binary,
      path: folder,
      provider_url: provider.url,
      // Where the built-in client shares to. Never left to its default: a plugin that does not load would share in public.
      share_url: service.url,
      plugins: [recorder, ...subject.plugins(service.url, options)],
      ...(trial.sharing ? { share: trial.sharing } : {}),
      env: { TRIAL_EVENTS: events_file, ...subject.env, ...trial.env },
    })
    box.lend(seed)
    const lab = new Lab(box, service, subject, options, events_file)
    if (trial.started !== false) await lab.start()
    return lab
  }

  /** Starts opencode, or starts it again after `stop`. */
  async start(): Promise<void> {
    this.#opencode = await serve(this.box)
  }

  /** SIGTERM: an orderly stop, as opencode has it. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#opencode?.kill(signal)
    this.#opencode = undefined
  }

  get client(): OpencodeClient {
    if (!this.#opencode) throw new Error("opencode does not run")
    return this.#opencode.client
  }

  get isRunning(): boolean {
    return this.#opencode !== undefined
  }

  get events(): RecordedEvent[] {
    return recordedEvents(this.events_file)
  }

  get folder(): string {
    return this.box.options.path
  }

  /** A new session that is shared before its first turn. */
  async sharedSession(): Promise<string> {
    const id = await this.client.newSession()
    this.sessions.add(id)
    await this.client.share(id)
    return id
  }

  /** For the next start: with or without the plugin under test, sharing to this address where there is none. */
  usePlugin(used: boolean, share_url = this.service.url): void {
    const plugins = used ? this.subject.plugins(this.service.url, this.options) : []
    this.box.configure({ plugins: [recorder, ...plugins], share_url })
  }

  /** The service answers again: from here on it is measured how long it takes to catch up. */
  faultOver(): void {
    const events = this.events
    const began = performance.now()
    // Should the service be down again, it is not caught up.
    this.#catchingUp = this.#catchUp(events, began).catch(() => {})
  }

  async #catchUp(events: RecordedEvent[], began: number): Promise<void> {
    const [id] = this.sessions
    if (id === undefined) return
    while (!this.#over) {
      const share = (await this.service.shares()).findLast(({ session_id }) => session_id === id)
      if (share && lostEvents(events, id, share).events_lost === 0) {
        this.caught_up_ms = Math.round(performance.now() - began)
        return
      }
      await Bun.sleep(50)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true
    await this.#catchingUp
    await this.stop()
    await this.service[Symbol.asyncDispose]()
  }
}

/** How much was streamed, in pieces. */
export function deltas(lab: Lab): number {
  return lab.events.filter(({ type }) => type === "message.part.delta").length
}

/** @throws Error after 30 s */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`)
    await Bun.sleep(25)
  }
}
