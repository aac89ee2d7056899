/** A provider of models on loopback, in OpenAI's chat completions (SSE only), that says what `script.ts` says. */
import { speak, type Speech, type ToolCall } from "./script.ts"

interface ChatRequest {
  messages: { role: string; content: string | { type: string; text?: string }[] | null }[]
  tools?: unknown[]
}

export interface Provider extends AsyncDisposable {
  /** Base URL, as opencode's configuration takes it. */
  readonly url: string
}

export function openProvider(): Provider {
  let answers = 0
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      if (!new URL(request.url).pathname.endsWith("/chat/completions")) return new Response(null, { status: 404 })
      const chat = (await request.json()) as ChatRequest
      const headers = { "content-type": "text/event-stream", "cache-control": "no-cache" }
      return new Response(answer(chat, ++answers, request.signal), { headers })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

function answer({ messages, tools }: ChatRequest, number: number, gone: AbortSignal): ReadableStream {
  const at = messages.findLastIndex(({ role }) => role === "user")
  const step = messages.slice(at + 1).filter(({ role }) => role === "assistant").length
  const prompt = textOf(messages[at]?.content ?? null)
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      const speech = new SpeechStream(controller, number, gone)
      // opencode's own requests, for a title or a summary, come without tools.
      if (tools?.length) return speak(prompt, step, speech)
      speech.text("A scripted title")
      speech.stop()
    },
  })
}

function textOf(content: ChatRequest["messages"][number]["content"]): string {
  if (typeof content === "string") return content
  return (content ?? []).map(({ text }) => text ?? "").join("\n")
}

class SpeechStream implements Speech {
  readonly #encoder = new TextEncoder()
  #over = false

  constructor(
    private readonly controller: ReadableStreamDefaultController<Uint8Array>,
    private readonly number: number,
    gone: AbortSignal,
  ) {
    gone.addEventListener("abort", () => (this.#over = true))
    this.#chunk({ role: "assistant", content: "" })
  }

  get over(): boolean {
    return this.#over
  }

  text(piece: string): void {
    this.#chunk({ content: piece })
  }

  reasoning(piece: string): void {
    this.#chunk({ reasoning_content: piece })
  }

  call(...calls: ToolCall[]): void {
    for (const [index, { name, args }] of calls.entries()) {
      const id = `call_${this.number}_${index}`
      this.#chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] })
      // In pieces, as from a real provider.
      for (const piece of JSON.stringify(args).match(/[\s\S]{1,24}/g) ?? [])
        this.#chunk({ tool_calls: [{ index, function: { arguments: piece } }] })
    }
    this.#finish("tool_calls")
  }

  stop(): void {
    this.#finish("stop")
  }

  #finish(reason: string): void {
    this.#chunk({}, reason, { usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 } })
    this.#write("[DONE]")
    if (!this.#over) this.controller.close()
    this.#over = true
  }

  #chunk(delta: object, finish_reason: string | null = null, more: object = {}): void {
    const of = { id: `chatcmpl-${this.number}`, object: "chat.completion.chunk", created: 1_700_000_000, model: "fake" }
    this.#write(JSON.stringify({ ...of, choices: [{ index: 0, delta, finish_reason }], ...more }))
  }

  #write(line: string): void {
    if (this.#over) return
    try {
      this.controller.enqueue(this.#encoder.encode(`data: ${line}\n\n`))
    } catch {
      // The client has gone, and its abort comes later.
      this.#over = true
    }
  }
}
