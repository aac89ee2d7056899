/** `sturdy status` as a whole process on an outbox in which a million ops wait, beside Bun's own start. */
import { join } from "node:path"
import { openOutbox } from "../src/index.ts"
import { median } from "./measure.ts"
import { row, type Row } from "./row.ts"

const pending = 1_000_000
/** As many as a unit takes. */
const unit_ops = 100
const rounds = 15
const cli = join(import.meta.dir, "..", "src", "cli", "main.ts")

export async function cliStatus(folder: string): Promise<Row[]> {
  const file = join(folder, "million.db")
  await fill(file)
  const commands = { bun: ["-e", "0"], status: [cli, "status", "--db", file] }
  const found: Record<keyof typeof commands, number[]> = { bun: [], status: [] }
  for (let round = 0; round <= rounds; round++)
    for (const name of ["bun", "status"] as const) {
      const started = Bun.nanoseconds()
      const child = Bun.spawn([process.execPath, ...commands[name]], { stdout: "pipe", stderr: "inherit" })
      const said = await new Response(child.stdout).text()
      await child.exited
      const took_ms = (Bun.nanoseconds() - started) / 1e6
      if (name === "status" && !said.replace(/\D/g, "").includes(String(pending)))
        throw new Error(`status does not say that ${pending} ops are pending: ${said}`)
      // The first round warms up.
      if (round > 0) found[name].push(took_ms)
    }
  const [status_ms, bun_ms] = [median(found.status), median(found.bun)]
  return [
    row(
      `status at ${pending.toLocaleString("en")} pending`,
      `${status_ms.toFixed(1)} ms`,
      `${bun_ms.toFixed(1)} ms (bun -e 0)`,
      status_ms / bun_ms,
      "≤ 100 ms",
      status_ms <= 100,
    ),
  ]
}

async function fill(file: string): Promise<void> {
  const outbox = openOutbox(file, { outboxBytesMax: 4 * 1024 ** 3 })
  outbox.pause()
  const stream = outbox.stream("bench", outbox.newRef("http://127.0.0.1:9/rpc/share"))
  const input = { method: "note.put", args: [{ id: "msg_1", text: "x".repeat(100) }] }
  for (let n = 0; n < pending; n += unit_ops) {
    outbox.unit(() => {
      for (let i = 0; i < unit_ops; i++) stream.record(input)
    })
    // What is written is checkpointed between two turns.
    if (n % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await outbox.close({ flush_ms: 0 })
}
