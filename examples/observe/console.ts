/** Every event of an outbox as one line of JSON, for people with `jq`. Returns the function that stops. */
import type { Outbox } from "sturdy"

export function logTo(write: (line: string) => void, outbox: Outbox): () => void {
  return outbox.onAny(({ name, ...event }) => {
    // An Error has no fields of its own that JSON would show.
    const fields = "cause" in event ? { message: event.message } : event
    write(JSON.stringify({ time: new Date().toISOString(), name, ...fields }))
  })
}
