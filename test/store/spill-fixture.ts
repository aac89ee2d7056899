/**
 * Records while the kernel refuses to let files grow, with a page cache so small that a transaction writes before its
 * COMMIT: an error in the middle of it, for real. SIGXFSZ must be ignored.
 */
import { SturdyError } from "../../src/intent/error.ts"
import { openStore } from "./box.ts"

const limitTo = (bytes: string) => {
  const { exitCode } = Bun.spawnSync(["prlimit", "--pid", String(process.pid), `--fsize=${bytes}:unlimited`])
  if (exitCode !== 0) throw new Error("prlimit failed")
}
const unit = Array.from({ length: 90 }, (_, n) => ({ args: ["x".repeat(5_000)], capture_id: `event_${n}` }))

const store = openStore(process.argv[2]!)
const seen: Record<string, unknown> = {}
let point = ""
store.connection.seams.crashPoint = (name) => (point = name)
store.record({})
store.db.run("pragma cache_size = 4")
limitTo("100000")
point = "in the middle"
try {
  store.unit(unit, { source: "s", place: 1 })
} catch (error) {
  if (!(error instanceof SturdyError)) throw error
  seen.refused = { code: error.code, indeterminate: error.indeterminate }
}
seen.point = point
seen.inTransaction = store.db.inTransaction
seen.left = [store.pending(), store.count("sturdy_capture"), store.count("sturdy_bookmark")]
limitTo("unlimited")
store.unit(unit, { source: "s", place: 1 })
seen.again = [store.pending(), store.count("sturdy_capture"), store.count("sturdy_bookmark")]
console.log(JSON.stringify(seen))
store.close()
