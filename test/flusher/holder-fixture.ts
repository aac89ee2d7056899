/** Records an op, takes the lease and says so when its POST leaves; then waits to be killed. */
import { openOutbox } from "../../src/outbox.ts"

const [file, ref] = process.argv.slice(2)
const outbox = openOutbox(file!, {
  transport: () => {
    console.log("sending")
    return new Promise(() => {})
  },
})
outbox.stream("s", JSON.parse(ref!)).record({ method: "put", args: ["1"] })
await outbox.flush()
