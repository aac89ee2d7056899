#!/usr/bin/env bun
/** The debug CLI: parse, dispatch, exit code. One file per command; commands are loaded when asked for. */
import { SturdyError } from "../intent/error.ts"
import { commandNames, loadCommand, overview } from "./commands.ts"
import { CommandError, exitOf, parseInput, UsageError, usageOf, type ExitCode } from "./input/command.ts"
import { databaseError } from "./outbox/database-error.ts"
import { enterTheirFolder } from "./input/called-as.ts"
import { nearest } from "./input/nearest.ts"
import { note, print, printable } from "./output/terminal.ts"

async function main(args: string[]): Promise<ExitCode> {
  const [name, ...rest] = args
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const about = name === "help" ? rest : []
    if (about.length > 0) return main([...about, "--help"])
    print(await overview())
    return name === undefined ? 2 : 0
  }
  if (name === "--version") {
    print((await import("../../package.json", { with: { type: "json" } })).default.version)
    return 0
  }
  const found = await loadCommand(args)
  if (!found) throw unknownCommand(args)
  const input = parseInput(found.command, found.rest)
  if (!input.options.help) return found.command.run(input)
  print(`${usageOf(found.command)}\n\n${found.command.help.trim()}`)
  return 0
}

function unknownCommand([name = "", second]: string[]): UsageError {
  const group = commandNames.filter((known) => known.startsWith(`${name} `))
  if (group.length > 0 && second !== undefined)
    return new UsageError(`no command ${name} ${printable(second)}: there are ${group.join(", ")}`, undefined)
  const [meant] = nearest(name, commandNames)
  const what = meant === undefined ? `there are ${commandNames.join(", ")}` : `did you mean ${meant}?`
  return new UsageError(`no command ${printable(name)}: ${what}`, undefined)
}

type Expected = SturdyError | UsageError | CommandError

function isExpected(error: unknown): error is Expected {
  return [SturdyError, UsageError, CommandError].some((kind) => error instanceof kind)
}

function fieldsOf(error: Expected): { code: string; message: string; hint: string | null } {
  const { message } = error
  if (error instanceof SturdyError) return { code: error.code, message, hint: error.hint }
  if (error instanceof UsageError)
    return { code: "usage", message, hint: error.command ? usageOf(error.command) : null }
  return { code: "failed", message, hint: null }
}

/** In one line; for `--json` as an object, on standard error too. */
function report(thrown: unknown): ExitCode {
  const error = databaseError(thrown)
  if (process.argv.includes("--json") && isExpected(error)) {
    note(JSON.stringify({ version: 1, error: fieldsOf(error) }))
    return error instanceof UsageError ? 2 : exitOf(error)
  }
  if (error instanceof UsageError) {
    note(`sturdy: ${printable(error.message)}`)
    note(
      error.command ? usageOf(error.command) : "usage: sturdy COMMAND [options]   (sturdy --help lists the commands)",
    )
    return 2
  }
  if (error instanceof CommandError) note(`sturdy: ${printable(error.message)}.`)
  else if (error instanceof SturdyError) note(`sturdy: ${printable(`${error.message}. ${error.hint}`)}`)
  else note(`sturdy: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
  return exitOf(error)
}

/** Piped into `head`: whoever reads has seen enough. Anything else, a full disk for one, has cut the answer short. */
process.stdout.on("error", (error) => {
  if ("code" in error && error.code === "EPIPE") process.exit(0)
  note(`sturdy: the output could not be written (${"code" in error ? error.code : error.message})`)
  process.exit(1)
})

enterTheirFolder()
process.exitCode = await main(process.argv.slice(2)).catch(report)
