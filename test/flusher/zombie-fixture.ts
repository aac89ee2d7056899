/** Records an op and sends it by real HTTP; says what becomes of the lease and of its POST until its input ends. */
import { openOutbox } from "../../src/index.ts"
import { say, told } from "../torture/child.ts"

export type ZombieSaid =
  { lease: { held: boolean; term: number } } | { attempt: "sent" | "acked" | "failed" } | { fault: string }

const [{ file, ref }] = [JSON.parse(process.argv[2]!)]
const outbox = openOutbox(file)
outbox.on("lease", ({ held, term }) => say({ lease: { held, term } }))
for (const attempt of ["sent", "acked", "failed"] as const) outbox.on(attempt, () => say({ attempt }))
outbox.on("fault", ({ message }) => say({ fault: message }))
outbox.stream("s", ref).record({ method: "put", args: ["1"] })
await told()
await outbox.close({ flush_ms: 0 })
