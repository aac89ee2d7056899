/** What a command is, how its arguments are read, and the exit codes that all share. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util"
import { errorTable, SturdyError } from "../../intent/error.ts"
import { nearest } from "./nearest.ts"

/** 0 fine, 1 failed, 2 usage, 3 needs a person. */
export type ExitCode = 0 | 1 | 2 | 3

export interface Command {
  /** Two words for one of a group, e.g. `dead retry`. */
  name: string
  /** One line for the list of commands. */
  summary: string
  /** After `sturdy NAME`. */
  usage: string
  /** What `sturdy NAME --help` prints below the usage. */
  help: string
  options: ParseArgsOptionsConfig
  /** How many arguments that are no options: all of so many, or at least and at most. */
  positionals: number | [min: number, max: number]
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

/** What was asked for cannot be done: told in one line, with what to do; exit code 1. */
export class CommandError extends Error {}

export const commonOptions = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig

/** @throws UsageError */
export function parseInput(command: Command, args: string[]): Input {
  refuseUnknownOption(command, args)
  const { values, positionals } = tryParse(command, args)
  const input = { options: values as Input["options"], positionals }
  const [min, max] =
    typeof command.positionals === "number" ? [command.positionals, command.positionals] : command.positionals
  if (values.help || (positionals.length >= min && positionals.length <= max)) return input
  const extra = positionals[max]
  throw new UsageError(extra === undefined ? "an argument is missing" : `unexpected argument ${extra}`, command)
}

/** Before the parser does, which would not say which one was meant. */
function refuseUnknownOption(command: Command, args: string[]): void {
  const known = Object.keys({ ...commonOptions, ...command.options })
  const end = args.indexOf("--")
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const name = /^--([^=]+)/.exec(arg)?.[1]
    if (name === undefined || known.includes(name)) continue
    const [meant] = nearest(name, known)
    throw new UsageError(
      `there is no option --${name}${meant === undefined ? "" : `; did you mean --${meant}?`}`,
      command,
    )
  }
}

function tryParse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...commonOptions, ...command.options }, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split(/\.\s/)[0]! : String(error), command)
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

/** One of a closed set of words. @throws UsageError */
export function wordOption<Word extends string>(
  command: Command,
  input: Input,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = textOption(input, name)
  if (text === undefined) return
  const word = words.find((known) => known === text)
  if (word !== undefined) return word
  throw new UsageError(`--${name} must be one of ${words.join(", ")}, got ${text}`, command)
}

export function usageOf(command: Command): string {
  return `usage: sturdy ${command.name}${command.usage ? ` ${command.usage}` : ""}`
}

export function exitOf(error: unknown): ExitCode {
  return error instanceof SturdyError ? errorTable[error.code].exit : 1
}
