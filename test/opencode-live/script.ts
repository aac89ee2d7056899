/**
 * What the scripted model says. The last `[[directive argument]]` in the last message of the user chooses; `step` counts
 * the model's answers that already follow that message, since a tool call takes several.
 *
 *   [[short]]          one short text; also what an unknown directive gives
 *   [[long N]]         N small chunks of text, as fast as a quick provider (300)
 *   [[drip N MS]]      N chunks, one per MS milliseconds (50, 100)
 *   [[reason]]         reasoning, then text
 *   [[bash COMMAND]]   one tool call, then text
 *   [[files NAME]]     writes, edits and reads NAME in three steps, then text
 *   [[parallel]]       three tool calls in one step, then text
 *   [[task]]           a subagent whose prompt is [[bash echo sub]], then text
 *   [[stall N]]        N chunks of text, then silence until the client gives up (40)
 */
export interface Speech {
  /** True when nobody listens any more. */
  readonly over: boolean
  text(piece: string): void
  reasoning(piece: string): void
  /** Ends the answer with tool calls. */
  call(...calls: ToolCall[]): void
  /** Ends the answer. */
  stop(): void
}

export interface ToolCall {
  name: string
  args: Record<string, unknown>
}

const chunk_ms = 4
const words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]

/** Speaks as the directive in `prompt` says; resolves when the answer is complete. */
export async function speak(prompt: string, step: number, speech: Speech): Promise<void> {
  const [, directive = "short", argument = ""] = [...prompt.matchAll(/\[\[(\w+)(?:\s+([^\]]*))?\]\]/g)].at(-1) ?? []
  const [first, second] = argument.trim().split(/\s+/).map(Number)
  switch (directive) {
    case "long":
      return say(speech, first || 300)
    case "drip":
      return say(speech, first || 50, second || 100)
    case "reason":
      await drip(speech, 30, chunk_ms, (piece) => speech.reasoning(piece))
      return say(speech, 12)
    case "stall":
      await drip(speech, first || 40, chunk_ms, (piece) => speech.text(piece))
      while (!speech.over) await Bun.sleep(50)
      return
    default: {
      const calls = toolCalls(directive, argument.trim(), step)
      if (!calls) return say(speech, step > 0 ? 8 : 6)
      if (directive === "bash") speech.text("I will run it. ")
      return speech.call(...calls)
    }
  }
}

/** Undefined when there is nothing left to call. */
function toolCalls(directive: string, argument: string, step: number): ToolCall[] | undefined {
  switch (directive) {
    case "bash":
      return step === 0 ? [bash(argument || "echo hi")] : undefined
    case "parallel":
      return step === 0 ? ["echo one", "echo two", "echo three"].map(bash) : undefined
    case "task": {
      const task = { description: "sub job", prompt: "[[bash echo sub]]", subagent_type: "general" }
      return step === 0 ? [{ name: "task", args: task }] : undefined
    }
    case "files": {
      const filePath = argument || "note.txt"
      const edit = { filePath, oldString: "line two", newString: "line 2 (edited)" }
      const steps: ToolCall[] = [
        { name: "write", args: { filePath, content: "line one\nline two\n" } },
        { name: "edit", args: edit },
        { name: "read", args: { filePath } },
      ]
      return steps[step] && [steps[step]]
    }
    default:
      return
  }
}

function bash(command: string): ToolCall {
  return { name: "bash", args: { command, description: `Runs ${command.slice(0, 40)}` } }
}

async function say(speech: Speech, chunks: number, every_ms = chunk_ms): Promise<void> {
  await drip(speech, chunks, every_ms, (piece) => speech.text(piece))
  speech.stop()
}

async function drip(speech: Speech, chunks: number, every_ms: number, put: (piece: string) => void): Promise<void> {
  for (let n = 0; n < chunks && !speech.over; n++) {
    put(`${words[n % words.length]}${n} `)
    await Bun.sleep(every_ms)
  }
}
