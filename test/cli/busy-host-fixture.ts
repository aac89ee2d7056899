/** A host that records and sends as fast as it can until it is told to end, and says what it met. */
import { openOutbox } from "../../src/index.ts"
import { SturdyError } from "../../src/intent/error.ts"
import { say, told } from "../torture/child.ts"

export interface BusyHostConfig {
  file: string
  service: string
}

export type BusyHostSaid =
  | { is: "recording" }
  | {
      is: "ended"
      recorded: number
      settled: number
      /** Messages of errors and faults; `busy` is SQLite's lock, held by somebody else. */
      errors: string[]
      /** Longest call of `record`, ms. */
      record_ms_max: number
    }

const { file, service } = JSON.parse(process.argv[2]!) as BusyHostConfig
const outbox = openOutbox(file)
const errors: string[] = []
outbox.on("fault", ({ message }) => errors.push(message))
const stream = outbox.stream("notes", outbox.newRef(service), { create: { session_id: "busy" } })
const ended = new AbortController()
let recorded = 0
let record_ms_max = 0
void told().then(() => ended.abort())
while (!ended.signal.aborted) {
  const began = performance.now()
  try {
    stream.record({ method: "put", key: `note/${recorded}`, args: [{ id: recorded, text: "x".repeat(300) }] })
    recorded += 1
  } catch (error) {
    errors.push(error instanceof SturdyError ? error.code : String(error))
  }
  record_ms_max = Math.max(record_ms_max, performance.now() - began)
  if (recorded === 1) say({ is: "recording" } satisfies BusyHostSaid)
  if (recorded % 20 === 0) await new Promise<void>((resolve) => setTimeout(resolve, 2))
}
await outbox.flush()
const { pending, dead } = stream.status()
await outbox.close()
say({ is: "ended", recorded, settled: recorded - pending - dead, errors, record_ms_max } satisfies BusyHostSaid)
