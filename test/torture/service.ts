/** `sturdy serve` as a process that can be killed and started again on the same port and file. */
import { cli } from "../cli/run.ts"

export interface ServiceProcess extends AsyncDisposable {
  readonly url: string
  readonly file: string
  /** SIGKILL, then a new process on the same port and file. */
  killAndRestart(): Promise<void>
}

export async function startService(file: string): Promise<ServiceProcess> {
  let running = await start(file, 0)
  const { url } = running
  const end = async () => {
    running.process.kill("SIGKILL")
    await running.process.exited
  }
  return {
    url,
    file,
    async killAndRestart() {
      await end()
      running = await start(file, Number(new URL(url).port))
    },
    [Symbol.asyncDispose]: end,
  }
}

async function start(file: string, port: number) {
  const process = cli(["serve", "--json", "--port", String(port), "--data", file])
  const reader = process.stdout.getReader()
  const { value } = await reader.read()
  if (!value) throw new Error(`serve did not start: ${await new Response(process.stderr).text()}`)
  return { process, url: (JSON.parse(new TextDecoder().decode(value)) as { url: string }).url }
}
