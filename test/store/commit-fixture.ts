/** Records while the kernel refuses to let files grow: a COMMIT that fails for real. SIGXFSZ must be ignored. */
import { SturdyError } from "../../src/intent/error.ts"
import { openStore } from "./box.ts"

const limitTo = (bytes: string) => {
  const { exitCode } = Bun.spawnSync(["prlimit", "--pid", String(process.pid), `--fsize=${bytes}:unlimited`])
  if (exitCode !== 0) throw new Error("prlimit failed")
}

const store = openStore(process.argv[2]!)
store.record({})
limitTo("100")
let refused: unknown
try {
  store.record({ capture_id: "event_1" })
} catch (error) {
  refused = error instanceof SturdyError ? { code: error.code, indeterminate: error.indeterminate } : String(error)
}
const pendingAfter = store.pending()
const { inTransaction } = store.db
limitTo("unlimited")
store.record({ capture_id: "event_1" })
console.log(JSON.stringify({ refused, pendingAfter, inTransaction, again: "recorded", pending: store.pending() }))
store.close()
