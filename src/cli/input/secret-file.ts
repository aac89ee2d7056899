/** Secrets that a person gives: from a file or standard input, never from the command line, which others can see. */
import { readFileSync } from "node:fs"
import { systemCode } from "../../store/place.ts"
import { neverShow } from "../outbox/secrets.ts"
import { type Command, type Input, textOption, UsageError } from "./command.ts"

export const secretHelp = "  --secret-file FILE  another capability's secret; - reads standard input"

/** @throws UsageError */
export function secretOption(command: Command, input: Input): string | undefined {
  const file = textOption(input, "secret-file")
  if (file === undefined) return
  const text = contents(command, file).trim()
  if (/^[A-Za-z0-9_-]{16,128}$/.test(text)) {
    neverShow([text])
    return text
  }
  throw new UsageError(
    `${file === "-" ? "standard input" : file} holds no secret: 16 to 128 letters, digits, - and _`,
    command,
  )
}

function contents(command: Command, file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8")
  } catch (error) {
    throw new UsageError(`--secret-file ${file} cannot be read (${systemCode(error) ?? String(error)})`, command)
  }
}
