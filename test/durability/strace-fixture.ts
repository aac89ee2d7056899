/** Records ops and says when record returned and when durable() resolved, by writes that strace sees. */
import { Database } from "bun:sqlite"
import { writeSync } from "node:fs"
import { openQuietOutbox } from "../store/box.ts"

const [file, mode] = process.argv.slice(2) as [string, "file" | "host"]
let where: string | Database = file
if (mode === "host") {
  where = new Database(file)
  where.run("pragma journal_mode = wal")
  where.run("pragma synchronous = normal")
}
await using box = openQuietOutbox(where)
for (let op = 0; op < 10; op++) {
  box.notes.record({ method: "put", args: [op] })
  writeSync(1, `recorded ${op}\n`)
  await box.outbox.durable()
  writeSync(1, `durable ${op}\n`)
}
