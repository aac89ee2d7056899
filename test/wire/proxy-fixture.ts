/** One POST in an environment that the test sets, and its outcome as JSON. */
import { systemClock } from "../../src/intent/system.ts"
import { httpTransport } from "../../src/wire/http.ts"
import { outcomeBy, requestTo } from "./attempt.ts"

console.log(JSON.stringify(await outcomeBy(httpTransport(systemClock), requestTo(process.argv[2]!))))
