/** Where an answer repeats what it must not, e.g. a secret. */
import type { Answer } from "./peer.ts"

/** The field that holds the text, e.g. `rejected.0.message`; undefined if none does. */
export function fieldRepeating(answer: Answer, text: string): string | undefined {
  if (answer.kind === "value") return fieldOf(answer.value, text, "")
  if (answer.kind === "fault") return
  const { error, message } = answer
  const { stack } = error as { stack?: unknown }
  return fieldOf({ message, ...(error as object), stack }, text, "")
}

function fieldOf(said: unknown, text: string, at: string): string | undefined {
  if (typeof said === "string") return said.includes(text) ? at || "its text" : undefined
  if (typeof said !== "object" || said === null) return
  for (const [name, part] of Object.entries(said)) {
    if (name.includes(text)) return `the name of a field${at && ` of ${at}`}`
    const found = fieldOf(part, text, at ? `${at}.${name}` : name)
    if (found) return found
  }
  return
}
