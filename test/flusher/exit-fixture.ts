/** A host that ends its own work: does the process end too? */
import { openOutbox } from "../../src/outbox.ts"
import { TransportFault } from "../../src/wire/transport.ts"

const [file, what] = process.argv.slice(2)
const ref = { service: "http://share.example/rpc/share", share_id: "share_of_the_test_0", secret: "secret_of_the_test_0123456789" }
const outbox = openOutbox(file!, {
  lingerMs: 0,
  retryDelayMsMin: 60_000,
  transport: async () => {
    throw new TransportFault("refused", "not_sent", "nobody there")
  },
})
const stream = outbox.stream("s", ref)
const intent = stream.record({ method: "put", args: ["1"], wantResult: true })
outbox.on("failed", () => {
  console.log("waits for the next attempt")
  if (what === "flush") void outbox.flush().catch(() => {})
  if (what === "result") void outbox.result(intent).catch(() => {})
  if (what === "close") void outbox.close({ flush_ms: 600_000 })
})
// The first attempt is what the test waits for; nothing of the outbox keeps the process.
await new Promise((resolve) => outbox.on("failed", resolve).call && setTimeout(resolve, 2_000).unref && outbox.on("failed", resolve))
