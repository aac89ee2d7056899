/** The few routes of opencode's HTTP API that the trials use, by plain fetch. */
import type { Json, JsonObject } from "./json.ts"

export interface Session extends JsonObject {
  id: string
}

export interface Part extends JsonObject {
  id: string
  messageID: string
}

export interface Message {
  info: JsonObject & { id: string; role: string }
  parts: Part[]
}

/** What opencode itself holds: the truth that a share is compared with. */
export interface SessionState {
  info: Session
  messages: Message[]
}

/** Longest turn of any trial, with room for a slow machine. */
const turn_timeout_ms = 120_000

export class OpencodeClient {
  constructor(
    readonly url: string,
    private readonly directory: string,
  ) {}

  async newSession(): Promise<string> {
    return (await this.#ask<Session>("POST", "/session", {})).id
  }

  /** One turn of the user and the model; resolves when the model is done. */
  async prompt(id: string, text: string): Promise<void> {
    await this.#ask("POST", `/session/${id}/message`, { parts: [{ type: "text", text }] })
  }

  /** Resolves when the turn has begun. */
  async promptAsync(id: string, text: string): Promise<void> {
    await this.#ask("POST", `/session/${id}/prompt_async`, { parts: [{ type: "text", text }] })
  }

  /** Rejects if opencode says that the session was not shared. */
  async share(id: string): Promise<void> {
    await this.#ask("POST", `/session/${id}/share`)
  }

  async unshare(id: string): Promise<void> {
    await this.#ask("DELETE", `/session/${id}/share`)
  }

  async revert(id: string, messageID: string): Promise<void> {
    await this.#ask("POST", `/session/${id}/revert`, { messageID })
  }

  async abort(id: string): Promise<void> {
    await this.#ask("POST", `/session/${id}/abort`)
  }

  async deleteSession(id: string): Promise<void> {
    await this.#ask("DELETE", `/session/${id}`)
  }

  async deleteMessage(id: string, messageID: string): Promise<void> {
    await this.#ask("DELETE", `/session/${id}/message/${messageID}`)
  }

  async deletePart(id: string, messageID: string, partID: string): Promise<void> {
    await this.#ask("DELETE", `/session/${id}/message/${messageID}/part/${partID}`)
  }

  async messages(id: string): Promise<Message[]> {
    return this.#ask("GET", `/session/${id}/message`)
  }

  async isIdle(id: string): Promise<boolean> {
    const status = await this.#ask<Record<string, { type: string }>>("GET", "/session/status")
    return (status[id]?.type ?? "idle") === "idle"
  }

  async state(): Promise<SessionState[]> {
    const sessions = await this.#ask<Session[]>("GET", "/session?limit=1000")
    return Promise.all(
      sessions.map(async ({ id }) => {
        const [info, messages] = await Promise.all([this.#ask<Session>("GET", `/session/${id}`), this.messages(id)])
        return { info, messages }
      }),
    )
  }

  async #ask<T>(method: string, path: string, body?: Json): Promise<T> {
    const url = new URL(path, this.url)
    url.searchParams.set("directory", this.directory)
    const response = await fetch(url, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(turn_timeout_ms),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`opencode: ${method} ${path}: ${response.status} ${text.slice(0, 300)}`)
    return (text ? JSON.parse(text) : undefined) as T
  }
}
