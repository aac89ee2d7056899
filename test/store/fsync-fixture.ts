/**
 * Records while fsync reports EIO (by a preloaded library), so that COMMIT throws after it has written. Then either dies
 * at once, or records the same event again.
 */
import { rmSync, writeFileSync } from "node:fs"
import { SturdyError } from "../../src/intent/error.ts"
import { openStore } from "./box.ts"

const [file, then] = process.argv.slice(2) as [string, "die" | "repeat"]
const store = openStore(file)
// At NORMAL a COMMIT syncs nothing and so cannot fail after it has written; a host's own connection may be at FULL.
store.db.run("pragma synchronous = full")
store.record({})
writeFileSync(process.env.EIO_WHILE!, "")
try {
  store.record({ capture_id: "event_1" })
} catch (error) {
  if (!(error instanceof SturdyError)) throw error
  process.stdout.write(`${JSON.stringify({ code: error.code, indeterminate: error.indeterminate })}\n`)
  if (then === "die") process.kill(process.pid, "SIGKILL")
}
rmSync(process.env.EIO_WHILE!)
store.record({ capture_id: "event_1" })
store.close()
