/**
 * A host that does all that an outbox can do, as fast as it can, with some thousand ops pending, until its input ends:
 * records, replaces, freezes, settles, retries, gives up, prunes, and is told that its service lost everything.
 */
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { openStore } from "../store/box.ts"

const pending_min = 3_000
/** Between two turns of the event loop. */
const steps = 50

const [file, seed] = process.argv.slice(2) as [string, string]
using store = openStore(file)
const next = mulberry32(Number(seed))
const below = (count: number) => Math.floor(next() * count)
let last: string | undefined

function record(): void {
  const depends_on = last && next() < 0.3 ? [last] : []
  const key = next() < 0.5 ? `key ${below(40)}` : undefined
  const kept = next() < 0.3 && { capture_id: `${store.pending()} ${next()}`, only_if_changed: true }
  if (next() < 0.2) [last] = store.unit([{}, { depends_on }, { key }]).map(({ op_id }) => op_id)
  else [last] = store.record({ key, depends_on, want_result: next() < 0.2, args: ["x".repeat(below(300))], ...kept })
}

function settle(): void {
  const batches = store.freeze({ batches_max: 1 + below(8), bytes_max: 1_000_000 })
  const ids = batches.flatMap(({ ops }) => ops.map(({ op_id }) => op_id))
  const rejected = ids.filter(() => next() < 0.05).map((op_id) => [op_id, next() < 0.5 ? "poison" : "superseded"])
  store.settle(Object.fromEntries(rejected), {}, batches)
}

function decide(): void {
  const [letter] = store.deadLetters.page(store.stream_id, { limit: 1 })
  if (!letter) return
  // What hangs on another dead letter goes with that one.
  if (letter.depends_on.length > 0 || next() < 0.3) store.deadLetters.discard(store.stream_id, letter.op_id)
  else store.deadLetters.retry(store.stream_id, letter.op_id)
}

function step(): void {
  if (store.pending() < pending_min || next() < 0.7) return record()
  const does = next()
  if (does < 0.6) settle()
  else if (does < 0.9) decide()
  else if (does < 0.99) store.connection.transact("make room", () => store.settler.retention.makeRoom())
  else store.settle({}, { reset: { cursor: 0, head_op_id: null } }, [])
}

const over = new AbortController()
process.stdin.on("end", () => over.abort()).resume()
while (store.pending() < pending_min) step()
console.log("busy")
while (!over.signal.aborted) {
  for (let n = 0; n < steps; n++) step()
  store.connection.db.run("pragma wal_checkpoint(passive)")
  await new Promise((resolve) => setImmediate(resolve))
}
