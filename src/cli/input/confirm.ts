/** A question before something that cannot be undone. Only ever asked at a terminal; a script says `--yes`. */
import { createInterface } from "node:readline/promises"
import { type Command, type Input, UsageError } from "./command.ts"

export const yesOption = { yes: { type: "boolean", short: "y" } } as const
export const yesHelp = "  --yes          without asking first; needed where nobody can be asked"

/** True if the person agreed. @throws UsageError where there is nobody to ask and no `--yes` */
export async function confirmed(command: Command, input: Input, question: string): Promise<boolean> {
  if (input.options.yes) return true
  if (!isInteractive()) throw new UsageError(`${question.replace(/\?$/, "")}: say --yes to go on`, command)
  return ask(question, false)
}

/** Both ends of a conversation are terminals. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** The answer to Enter alone is the one in capitals. */
export async function ask(question: string, usual: boolean): Promise<boolean> {
  using lines = createInterface({ input: process.stdin, output: process.stderr })
  // At the end of the input nobody has agreed to anything.
  const ended = new AbortController()
  lines.once("close", () => ended.abort())
  try {
    const answer = await lines.question(`${question} ${usual ? "[Y/n]" : "[y/N]"} `, { signal: ended.signal })
    return answer.trim() === "" ? usual : /^y(es)?$/i.test(answer.trim())
  } catch {
    return false
  }
}
