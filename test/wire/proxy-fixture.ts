/** One request in an environment that the test sets, and its outcome as JSON. */
import { systemClock } from "../../src/intent/system.ts"
import { httpTransport } from "../../src/wire/http.ts"
import { outcomeBy, requestTo } from "./attempt.ts"

const [url, deadline_ms, method] = process.argv.slice(2)
const request = requestTo(url!, {
  ...(deadline_ms && { deadline_ms: Number(deadline_ms) }),
  ...(method && { method: method as "GET" | "DELETE" }),
})
console.log(JSON.stringify(await outcomeBy(httpTransport(systemClock), request)))
