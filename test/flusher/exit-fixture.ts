/** A host that has nothing more to do: is the process kept? `what` is what it waits for. */
import { openOutbox } from "../../src/outbox.ts"
import { TransportFault } from "../../src/wire/transport.ts"

const [file, what] = process.argv.slice(2)
const ref = { service: "http://share.example/rpc/share", share_id: "share_of_the_test", secret: "secret_of_the_test" }
const outbox = openOutbox(file!, {
  retryDelayMsMin: 60_000,
  transport: async () => {
    throw new TransportFault("refused", "not_sent", "nobody there")
  },
})
const intent = outbox.stream("s", ref).record({ method: "put", args: ["1"], wantResult: true })
const work = setInterval(() => {}, 1_000)
outbox.on("failed", () => {
  clearInterval(work)
  // Fires only if something else keeps the process.
  setTimeout(() => console.log("still here"), 300).unref()
  if (what === "flush") void outbox.flush()
  if (what === "result") void outbox.result(intent)
  if (what === "close") void outbox.close({ flush_ms: 600_000 })
})
