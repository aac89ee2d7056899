/** Keeps the service's process: the same file and port every time, whoever kills it. */
import { fileURLToPath } from "node:url"
import type { Subprocess } from "bun"

const start_tries = 20
const start_pause_ms = 50

export class ServiceProcess {
  url = ""
  #child: Subprocess<"pipe", "pipe", "pipe"> | undefined
  #port = 0

  constructor(readonly file: string) {}

  async start(): Promise<void> {
    const script = fileURLToPath(import.meta.resolve("./service.ts"))
    let why = ""
    for (let tries = 0; tries < start_tries; tries++) {
      const command = [process.execPath, script, this.file, String(this.#port)]
      const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe" })
      this.#child = child
      const { value } = await child.stdout.getReader().read()
      if (value) {
        this.url = new TextDecoder().decode(value).trim()
        this.#port = Number(new URL(this.url).port)
        return
      }
      why = await new Response(child.stderr).text()
      // The port of one that was just killed may take a moment to be free.
      await Bun.sleep(start_pause_ms)
    }
    throw new Error(`the service does not start: ${why.trim()}`)
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL")
    await this.#child?.exited
  }
}
