/** A service in a process of its own, to be killed. Its first line says where it is. */
import { serveShareService } from "../../src/service/bun.ts"

console.log(serveShareService({ file: process.argv[2]! }).url)
