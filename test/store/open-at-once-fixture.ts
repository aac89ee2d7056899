/** Waits until its standard input ends, opens the outbox, records so many ops. */
import { systemSeams } from "../../src/intent/system.ts"
import { openQuietOutbox } from "./box.ts"

const [file, count] = process.argv.slice(2) as [string, string]
process.stdout.write("ready\n")
for await (const _ of process.stdin);
// Other processes really hold the lock: it is waited for by a clock that really waits.
await using box = openQuietOutbox(file, { seams: systemSeams })
for (let i = 0; i < Number(count); i++) box.notes.record({ method: "put", args: [i] })
