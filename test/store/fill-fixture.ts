/** Records until the disk is full, says each op whose record returned, and is killed. */
import { writeSync } from "node:fs"
import { SturdyError } from "../../src/intent/error.ts"
import { openOutbox } from "../../src/outbox.ts"

const [file, ref] = process.argv.slice(2) as [string, string]
const outbox = openOutbox(file)
outbox.pause()
const stream = outbox.stream("s", JSON.parse(ref))
for (let n = 0; ; n++) {
  try {
    stream.record({ method: "put", args: [`${n}`, "x".repeat(3_000)] })
    writeSync(1, `${n}\n`)
  } catch (error) {
    if (!(error instanceof SturdyError) || error.code !== "disk_full") throw error
    process.kill(process.pid, "SIGKILL")
  }
}
