/**
 * Another process on an outbox file, with `damaged: "quarantine"`: says `ready`, waits for a line, opens, records the op
 * that it was told, says as JSON how it went, waits for the end of its input.
 */
import { SturdyError } from "../../src/intent/error.ts"
import { systemClock, systemRandom } from "../../src/intent/system.ts"
import { openOutbox } from "../../src/outbox.ts"
import { ref } from "./box.ts"

const [file, name, dieAt] = process.argv.slice(2) as [string, string, string | undefined]
const crashPoint = (point: string) => {
  if (point === dieAt) process.kill(process.pid, "SIGKILL")
}

process.stdout.write("ready\n")
const input = process.stdin[Symbol.asyncIterator]()
await input.next()
try {
  const outbox = openOutbox(file, {
    damaged: "quarantine",
    seams: { clock: systemClock, random: systemRandom, crashPoint },
  })
  outbox.pause()
  const notes = outbox.stream("notes", ref)
  notes.record({ method: "put", args: [name] })
  process.stdout.write(`${JSON.stringify({ quarantined: outbox.quarantined?.file })}\n`)
  await input.next()
  notes.record({ method: "put", args: [`${name} again`] })
  await outbox.close({ flush_ms: 0 })
} catch (error) {
  if (!(error instanceof SturdyError)) throw error
  process.stdout.write(`${JSON.stringify({ code: error.code, message: error.message })}\n`)
}
