/** Records an op, sends it under its own name, and stays until its input ends. */
import { openOutbox } from "../../src/index.ts"
import { say, told } from "../torture/child.ts"

const [{ file, name, ref }] = [JSON.parse(process.argv[2]!)]
const outbox = openOutbox(file, { headers: () => ({ "x-process": name }) })
outbox.stream("s", ref).record({ method: "put", args: [name] })
say({ ready: true })
await told()
await outbox.close({ flush_ms: 0 })
