/** A process that has a POST out and, once the test says so, nothing else to do: does it exit? */
import { readFileSync } from "node:fs"
import * as limit from "../../src/intent/limit.ts"
import { systemClock } from "../../src/intent/system.ts"
import { httpTransport } from "../../src/wire/http.ts"

const [url, size, warm] = process.argv.slice(2)
const transport = httpTransport(systemClock, {
  ca: readFileSync(`${import.meta.dir}/../fixture/tls/cert.pem`, "utf8"),
  // Of every name the first address is dead.
  lookup: (_name, _options, done) => {
    done(null, [
      { address: "127.0.0.2", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ])
  },
})
const post = () =>
  transport({
    url: url!,
    headers: {},
    body: "x".repeat(Number(size)),
    deadline_ms: limit.request_deadline_ms,
    signal: new AbortController().signal,
  })

const work = setInterval(() => {}, 1_000)
if (warm === "warm") await post()
post().then(
  () => console.log("answered"),
  (error: Error) => console.log(error.message),
)
// The test says when the POST is where it should be.
process.stdin.once("data", () => {
  clearInterval(work)
  process.stdin.destroy()
  // Fires only if something else keeps the process.
  setTimeout(() => console.log("still here"), 300).unref()
})
