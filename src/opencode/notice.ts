/**
 * What a person is told: one line in opencode's log and one toast per change of state, whoever caused it, and nothing
 * for what passes by itself within an attempt. opencode takes both from a headless run too, and shows what it can.
 */
import { type BlockReason, type Outbox, type OutboxEvents, SturdyError } from "../index.ts"
import type { OpencodeClient } from "./client.ts"
import { sessionOf } from "./session-shares.ts"

export type Level = "info" | "warn" | "error"

export interface Notice {
  level: Level
  message: string
}

/** Attempts in a row after which the service counts as away: one lost answer is not worth a line. */
const away_attempts = 2

export class Notices {
  /** Streams whose attempts fail. */
  readonly #away = new Set<string>()
  /** What is told once per process: it may come with every event. */
  readonly #told = new Set<string>()

  #quiet = false

  constructor(readonly tell: (notice: Notice) => void) {}

  follow(outbox: Outbox): void {
    outbox.on("failed", (event) => this.#failed(event))
    outbox.on("drained", ({ stream }) => this.#back(stream))
    outbox.on("removed", ({ stream }) => {
      this.#back(stream)
      this.tell({ level: "info", message: `the share of ${sessionOf(stream)} is removed from its service` })
    })
    outbox.on("blocked", ({ stream, reason, message, hint }) =>
      this.tell({
        level: "warn",
        message: `${nameOf(stream)} stands: ${reason}, ${message}. ${hints[reason] ?? hint}`,
      }),
    )
    outbox.on("unblocked", ({ stream, reason }) => {
      // Only a removal ends it.
      if (this.#quiet || reason === "share_removed") return
      this.tell({ level: "info", message: `${nameOf(stream)} goes on: ${reason} is over` })
    })
    outbox.on("rejected", ({ stream, code, message }) =>
      this.once(`rejected ${stream} ${code}`, {
        level: "warn",
        message: `the service refused something of ${sessionOf(stream)} for good: ${code}, ${message}. It is kept: sturdy status`,
      }),
    )
    outbox.on("quarantined", ({ message, file }) =>
      this.tell({ level: "warn", message: `${message}; kept as ${file}` }),
    )
    outbox.on("fault", ({ message }) => this.once(`fault ${message}`, { level: "error", message }))
  }

  /** What is done in here is no news: it only tries. */
  quietly(work: () => void): void {
    this.#quiet = true
    try {
      work()
    } finally {
      this.#quiet = false
    }
  }

  /** Something of ours failed: told once per kind. */
  failed(what: string, error: unknown): void {
    const kind = error instanceof SturdyError ? error.code : error instanceof Error ? error.name : typeof error
    const text = error instanceof Error ? error.message : String(error)
    this.once(`${what} ${kind}`, { level: "error", message: `${what}: ${text}` })
  }

  /** The same again is no news. */
  once(name: string, notice: Notice): void {
    if (this.#told.has(name)) return
    this.#told.add(name)
    this.tell(notice)
  }

  #failed({ stream, message, attempts }: OutboxEvents["failed"]): void {
    if (attempts < away_attempts) return
    const isFirst = this.#away.size === 0
    this.#away.add(stream)
    if (isFirst)
      this.tell({
        level: "warn",
        message: `the share service does not answer (${message}); nothing is lost, it is tried again: sturdy status`,
      })
  }

  #back(stream: string): void {
    if (!this.#away.delete(stream) || this.#away.size > 0) return
    this.tell({ level: "info", message: "the share service answers again; everything is sent" })
  }
}

/** What a user of opencode can do, where the library's own hints speak to a program. */
const hints: Partial<Record<BlockReason, string>> = {
  share_removed: "Somebody else removed it: unshare the session and share it again, which is a new share",
  revoked: "Unshare the session and share it again, which is a new share",
  expired: "Unshare the session and share it again, which is a new share",
  scope_denied: "Check OPENCODE_SHARE_RPC_KEY and the service's own key, and start opencode again",
  unsupported: "Check the option `service` and the network (a login page?); it goes on by itself",
  other_server: "Another service answers at this address, and gets nothing: unshare and share again if that is meant",
  database_moved: "Start opencode again",
}

function nameOf(stream: string | undefined): string {
  return stream === undefined ? "sharing" : `the share of ${sessionOf(stream)}`
}

const variants = { info: "info", warn: "warning", error: "error" } as const

/** Never rejects, never waits: whoever is told may be gone. */
export function tellOpencode(client: OpencodeClient, { level, message }: Notice): void {
  const body = { service: "sturdy", level, message: `sturdy: ${message}` }
  const toast = { title: "Sturdy", message, variant: variants[level], duration: 8_000 }
  const said = [() => client.app?.log?.({ body }), () => client.tui?.showToast?.({ body: toast })]
  for (const say of said)
    try {
      say()?.catch(() => {})
    } catch {
      // A client that is no client any more.
    }
}
