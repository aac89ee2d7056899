/** `sturdy serve`: the share service on this machine, in one SQLite file. */
import { isIP } from "node:net"
import { serveShareService, type RunningShareService, type ServiceEvent } from "../service/index.ts"
import { type Command, CommandError, numberOption, textOption } from "./input/command.ts"
import { note, print, printJson } from "./output/terminal.ts"
import { stopped } from "./input/stopped.ts"

export const serve: Command = {
  name: "serve",
  summary: "run a share service (Cap'n Web and HTTP) on one SQLite file",
  usage: "[--port N] [--data FILE] [--host ADDRESS] [--json]",
  help: `
Serves shares until it is stopped. Prints where it listens; with --json the first line is {"url": …}, the origin
without a trailing slash. Cap'n Web is at /rpc/share, plain HTTP/JSON under /api/share, what a share holds at
/api/share/ID/data. What opencode 1.18's own share client sends is taken under /api/share too.

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
    // Before anything is printed: whoever reads the line may stop it at once.
    const end = stopped().asked
    if (input.options.json) printJson({ url: service.url })
    else {
      print(`listening at ${service.url}, data in ${file}`)
      note("Stop it with Ctrl-C: what was acknowledged is on disk.")
    }
    await end
    await service.stop()
    return 0
  },
}

/** @throws CommandError if it cannot: that is a fault neither of the command line nor of ours */
function start(file: string, port: number, hostname: string): RunningShareService {
  try {
    return serveShareService({ file, port, hostname, observe: reportFailure })
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : ""
    if (code === "EADDRINUSE" && !isIpOrName(hostname))
      throw new CommandError(`${hostname} is no address. Choose another with --host`)
    if (code === "EADDRINUSE")
      throw new CommandError(`port ${port} at ${hostname} is taken. Choose another with --port, or 0 for a free one`)
    if (code === "EADDRNOTAVAIL")
      throw new CommandError(`${hostname} is no address of this machine. Choose another with --host`)
    if (/^(SQLITE_|E[A-Z]+$)/.test(code))
      throw new CommandError(
        `${file} cannot be opened as a service's database (${code}). Name another file with --data`,
      )
    throw error
  }
}

/** A failure of the service itself: clients are told only that there was one, and send again. */
function reportFailure(event: ServiceEvent): void {
  if (event.name !== "failure") return
  const { error } = event
  note(`sturdy: a request failed: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
}

/** Bun says "in use" of an address that is none: numbers and dots that are not an IPv4 address. */
function isIpOrName(hostname: string): boolean {
  return isIP(hostname) !== 0 || !/^[\d.]+$/.test(hostname)
}
