/** Keeps the service's process: the same file and port every time, whoever kills it. */
import type { Subprocess } from "bun"

const start_tries = 50

export class ServiceProcess {
  url = ""
  #child: Subprocess<"pipe", "pipe", "inherit"> | undefined
  #port = 0

  constructor(readonly file: string) {}

  async start(): Promise<void> {
    for (let tries = 0; tries < start_tries; tries++) {
      const child = Bun.spawn([process.execPath, `${import.meta.dir}/service.ts`, this.file, String(this.#port)], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: tries < start_tries - 1 ? "ignore" : "inherit",
      }) as Subprocess<"pipe", "pipe", "inherit">
      this.#child = child
      const { value } = await child.stdout.getReader().read()
      if (value) {
        this.url = new TextDecoder().decode(value).trim()
        this.#port = Number(new URL(this.url).port)
        return
      }
      // The port of one that was just killed may take a moment to be free.
      await Bun.sleep(50)
    }
    throw new Error(`the service does not start on port ${this.#port}`)
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL")
    await this.#child?.exited
  }
}
