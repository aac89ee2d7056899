/** The share service in a process of its own, to be killed: FILE PORT. Says its url, and ends with whoever started it. */
import { serveShareService } from "../../src/service/index.ts"

const [file, port] = process.argv.slice(2)
const service = serveShareService({ file: file!, port: Number(port) })
console.log(service.url)
process.stdin.resume().on("end", () => process.exit())
