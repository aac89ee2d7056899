/** What a command is, and the texts that all commands share. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util"
import { errorTable, SturdyError } from "../intent/error.ts"

/** 0 fine, 1 failed, 2 usage, 3 needs a person. */
export type ExitCode = 0 | 1 | 2 | 3

export interface Command {
  name: string
  /** One line for the list of commands. */
  summary: string
  /** After `sturdy NAME`. */
  usage: string
  /** What `sturdy NAME --help` prints below the usage. */
  help: string
  options: ParseArgsOptionsConfig
  /** How many arguments that are no options. */
  positionals: number
  run(input: Input): Promise<ExitCode>
}

export interface Input {
  options: Record<string, string | boolean | undefined>
  positionals: string[]
}

export class UsageError extends Error {
  constructor(
    message: string,
    readonly command: Command | undefined,
  ) {
    super(message)
  }
}

export const commonOptions = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig

/** @throws UsageError */
export function parseInput(command: Command, args: string[]): Input {
  const parsed = tryParse(command, args)
  if (parsed.positionals.length === command.positionals || parsed.values.help)
    return { options: parsed.values as Input["options"], positionals: parsed.positionals }
  const extra = parsed.positionals[command.positionals]
  throw new UsageError(extra === undefined ? "an argument is missing" : `unexpected argument ${extra}`, command)
}

function tryParse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...commonOptions, ...command.options }, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split(". ")[0]! : String(error), command)
  }
}

export function textOption(input: Input, name: string): string | undefined {
  const value = input.options[name]
  return typeof value === "string" ? value : undefined
}

/** A whole number within the bounds. @throws UsageError */
export function numberOption(
  command: Command,
  input: Input,
  name: string,
  bounds: { min: number; max: number },
): number | undefined {
  const text = textOption(input, name)
  if (text === undefined) return
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= bounds.min && value <= bounds.max) return value
  throw new UsageError(`--${name} must be a number from ${bounds.min} to ${bounds.max}, got ${text}`, command)
}

/** The outbox that a reading command looks at. @throws UsageError */
export function dbOption(command: Command, input: Input): string {
  const path = textOption(input, "db") ?? process.env.STURDY_DB
  if (path) return path
  throw new UsageError("which outbox? Name its file with --db FILE, or set STURDY_DB", command)
}

export function usageOf(command: Command): string {
  return `usage: sturdy ${command.name}${command.usage ? ` ${command.usage}` : ""}`
}

/** One JSON object per line on standard output. */
export function printJson(value: object): void {
  print(JSON.stringify(value))
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** A line for people: names come from hosts and servers, and must not move the cursor or colour the terminal. */
export function printLine(text: string): void {
  print(text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`))
}

/** For people: progress and errors, so that standard output stays what was asked for. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

export function exitOf(error: unknown): ExitCode {
  return error instanceof SturdyError ? errorTable[error.code].exit : 1
}
