/** A process of the Sturdy of schema 1: opens, says so, waits for a line, records ops, flushes, closes. */
import { openOutbox } from "../fixture/older/outbox-schema-1.js"

const [file, ref, count] = process.argv.slice(2) as [string, string, string]
const outbox = openOutbox(file)
const stream = outbox.stream("s", JSON.parse(ref))
stream.record({ method: "put", args: ["older 0"] })
process.stdout.write("open\n")
for await (const _ of process.stdin) break
for (let n = 1; n < Number(count); n++) {
  stream.record({ method: "put", args: [`older ${n}`] })
  // Others have their turn, and so has its own flusher.
  await new Promise((resolve) => setImmediate(resolve))
}
process.stdout.write(`${JSON.stringify(await outbox.flush())}\n`)
await outbox.close()
