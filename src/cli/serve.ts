/** `sturdy serve`: the share service on this machine, in one SQLite file. */
import { SturdyError } from "../intent/error.ts"
import { serveShareService, type RunningShareService } from "../service/index.ts"
import { type Command, note, numberOption, print, printJson, textOption } from "./command.ts"

export const serve: Command = {
  name: "serve",
  summary: "run a share service (Cap'n Web and HTTP) on one SQLite file",
  usage: "[--port N] [--data FILE] [--host ADDRESS] [--json]",
  help: `
Serves shares until it is stopped. Prints where it listens; with --json the first line is {"url": …}, the origin
without a trailing slash. Cap'n Web is at /rpc/share, what a share holds at /api/share/ID/data.

  --port N        port to listen on; 0 takes a free one (default 0)
  --data FILE     the service's database, created if it is not there (default ./share.db)
  --host ADDRESS  address to listen on (default 127.0.0.1: put a proxy with TLS in front for others)

Example: sturdy serve --port 8787 --data share.db`,
  options: { port: { type: "string" }, data: { type: "string" }, host: { type: "string" } },
  positionals: 0,
  async run(input) {
    const port = numberOption(serve, input, "port", { min: 0, max: 65535 }) ?? 0
    const file = textOption(input, "data") ?? "share.db"
    const service = start(file, port, textOption(input, "host") ?? "127.0.0.1")
    if (input.options.json) printJson({ url: service.url })
    else {
      print(`listening at ${service.url}, data in ${file}`)
      note("Stop it with Ctrl-C: what was acknowledged is on disk.")
    }
    await stopped()
    await service.stop()
    return 0
  },
}

function start(file: string, port: number, hostname: string): RunningShareService {
  try {
    return serveShareService({ file, port, hostname })
  } catch (error) {
    if (typeof error !== "object" || error === null || !("code" in error) || error.code !== "EADDRINUSE") throw error
    throw new SturdyError(
      "invalid_argument",
      `port ${port} at ${hostname} is taken`,
      "Choose another with --port, or 0 for a free one.",
      { cause: error },
    )
  }
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => resolve())
  })
}
