/**
 * A host that has nothing more to do: is the process kept? `what` is what it waits for. With a `url` its POST is on the
 * way there, as soon as the test says so; without one the service refuses connections.
 */
import { openOutbox } from "../../src/outbox.ts"
import { TransportFault } from "../../src/wire/transport.ts"

const [file, what, url] = process.argv.slice(2)
const service = url ?? "http://share.example/rpc/share"
const ref = { service, share_id: "share_of_the_test", secret: "secret_of_the_test" }
const refuse = async () => {
  throw new TransportFault("refused", "not_sent", "nobody there")
}
const outbox = openOutbox(file!, { retryDelayMsMin: 60_000, ...(!url && { transport: refuse }) })
const intent = outbox.stream("s", ref).record({ method: "put", args: ["1"], wantResult: true })
const work = setInterval(() => {}, 1_000)
if (url)
  process.stdin.once("data", () => {
    process.stdin.destroy()
    ended()
  })
else outbox.on("failed", ended)

function ended() {
  clearInterval(work)
  // Fires only if something else keeps the process.
  setTimeout(() => console.log("still here"), 300).unref()
  if (what === "flush") void outbox.flush()
  if (what === "result") void outbox.result(intent)
  if (what === "close") void outbox.close({ flush_ms: 600_000 })
}
