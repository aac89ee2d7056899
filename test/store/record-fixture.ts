/** Another process on the same outbox: records the ops given as JSON, or freezes what is pending. */
import { type Op, openStore } from "./box.ts"

const [file, ops] = process.argv.slice(2) as [string, string]
using store = openStore(file)
for (const op of JSON.parse(ops) as (Op & { freeze?: true })[]) {
  if (op.freeze) store.freeze()
  else store.record(op)
}
