#!/usr/bin/env bun
/** The debug CLI: parse, dispatch, exit code. One file per command; commands are loaded when asked for. */
import { SQLiteError } from "bun:sqlite"
import { SturdyError } from "../intent/error.ts"
import { storageError } from "../store/fault.ts"
import { type Command, exitOf, note, parseInput, print, UsageError, usageOf, type ExitCode } from "./command.ts"

const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import("./serve.ts")).serve,
  replay: async () => (await import("./replay.ts")).replay,
  status: async () => (await import("./status.ts")).status,
  ops: async () => (await import("./ops.ts")).ops,
  simulate: async () => (await import("./simulate.ts")).simulate,
}

async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()))
  return [
    "Sturdy: durable, replayable op intents for Cap'n Web.",
    "",
    "usage: sturdy COMMAND [options]",
    "",
    ...all.map((command) => `  ${command.name.padEnd(10)}${command.summary}`),
    "",
    "Every command: --json prints one JSON object per line; --help says more.",
    "Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 needs a person.",
  ].join("\n")
}

async function main(args: string[]): Promise<ExitCode> {
  const [name, ...rest] = args
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    print(await overview())
    return name === undefined ? 2 : 0
  }
  if (name === "--version") {
    print((await import("../../package.json", { with: { type: "json" } })).default.version)
    return 0
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load) throw new UsageError(`no command ${name}: there are ${Object.keys(commands).join(", ")}`, undefined)
  const command = await load()
  const input = parseInput(command, rest)
  if (!input.options.help) return command.run(input)
  print(`${usageOf(command)}\n\n${command.help.trim()}`)
  return 0
}

/** Below whatever wraps it: drizzle repeats the whole query in its message. */
function databaseError(error: unknown): unknown {
  // Whoever threw it knew the file and what was tried.
  if (error instanceof SturdyError) return error
  const inner = error instanceof Error && error.cause instanceof SQLiteError ? error.cause : error
  const known = storageError(inner, "the outbox")
  if (!(known instanceof SQLiteError)) return known === inner ? error : known
  return new SturdyError(
    "database_corrupt",
    `the outbox cannot be read (${known.message}): it is damaged, or of a version that this Sturdy does not know`,
    "Keep a copy of the file and its -wal; then upgrade Sturdy, or name another file with --db.",
    { cause: known },
  )
}

function report(thrown: unknown): ExitCode {
  const error = databaseError(thrown)
  if (error instanceof UsageError) {
    note(`sturdy: ${error.message}`)
    note(
      error.command ? usageOf(error.command) : "usage: sturdy COMMAND [options]   (sturdy --help lists the commands)",
    )
    return 2
  }
  if (error instanceof SturdyError) note(`sturdy: ${error.message}. ${error.hint}`)
  else note(`sturdy: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
  return exitOf(error)
}

// Piped into `head`: whoever reads has seen enough.
process.stdout.on("error", () => process.exit(0))

process.exitCode = await main(process.argv.slice(2)).catch(report)
