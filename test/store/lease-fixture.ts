/** Takes the lease, says so, and stays until it is killed. */
import { openStore } from "./box.ts"

const store = openStore(process.argv[2]!)
process.stdout.write(`held ${store.term()}\n`, () => process.kill(process.pid, "SIGKILL"))
