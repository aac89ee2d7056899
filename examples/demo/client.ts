/**
 * The client, in a process of its own, to be killed: OUTBOX ENDPOINT RETRY_MS_MIN RETRY_MS_MAX [--sabotage]. It
 * acknowledges an event when its record has returned. Sabotaged it acknowledges first and records a little later, the
 * mistake that the demo must find.
 */
import { openOutbox } from "../../src/index.ts"
import { EverySession, mapEvent } from "../../src/opencode/index.ts"
import { jsonLines, sayToHost, type ToClient } from "./pipe.ts"

const sabotage_delay_ms = 150

const [file, endpoint, retryDelayMsMin, retryDelayMsMax, sabotage] = process.argv.slice(2)
const outbox = openOutbox(file!, {
  retryDelayMsMin: Number(retryDelayMsMin),
  retryDelayMsMax: Number(retryDelayMsMax),
})
const shares = new EverySession(outbox, endpoint!)
outbox.on("sent", ({ attempt, ops }) => sayToHost({ sent: { attempt, ops } }))

for await (const messages of jsonLines<ToClient>(Bun.stdin.stream())) {
  const events = messages.filter((message) => "place" in message)
  const record = () => events.forEach(({ event }) => shares.capture(mapEvent(event)))
  if (sabotage) setTimeout(record, sabotage_delay_ms)
  else record()
  const last = events.at(-1)
  if (last) sayToHost({ acked: last.place, pending: pending() })
  if (messages.some((message) => "finish" in message)) await finish()
}

async function finish(): Promise<void> {
  if (sabotage) await Bun.sleep(2 * sabotage_delay_ms)
  const { blocked } = await outbox.flush()
  await outbox.close()
  const problem = blocked.map(({ stream, reason, message }) => `${stream} is blocked: ${reason}, ${message}`).join("; ")
  sayToHost({ done: problem ? { problem } : {} })
  process.exit()
}

function pending(): number {
  return outbox.streams().reduce((sum, stream) => sum + stream.status().pending, 0)
}
