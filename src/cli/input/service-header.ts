/**
 * A header that a service, or a gateway before it, wants with every request, e.g. a key. Its value comes from the
 * environment, since everybody on the machine can read a command line; and it goes to one service only.
 */
import { neverShow } from "../outbox/secrets.ts"
import { type Command, type Input, textOption, UsageError } from "./command.ts"

export const headerUsage = "[--header-env NAME=VARIABLE [--service URL]]"
export const headerHelp = `  --header-env NAME=VARIABLE  send this header, with the value of that environment variable
  --service URL               … to this service, where the outbox has streams at several`
export const headerOptions = { "header-env": { type: "string" }, service: { type: "string" } } as const

/** Shorter is no key, and may be a word of any text. */
const key_letters_min = 8

export type HeadersOf = (attempt: { service: string }) => Record<string, string>

/** `services`: those that are about to be spoken to. @throws UsageError */
export function headersOption(command: Command, input: Input, services: readonly string[]): HeadersOf | undefined {
  const text = textOption(input, "header-env")
  const wanted = textOption(input, "service")
  if (text === undefined) {
    if (wanted === undefined) return
    throw new UsageError("--service goes with --header-env", command)
  }
  const [, name, variable] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(\w+)$/.exec(text) ?? []
  // Not repeated: it may be the value itself.
  if (name === undefined || variable === undefined)
    throw new UsageError(
      "--header-env must be NAME=VARIABLE, the name of a header and of an environment variable",
      command,
    )
  const value = process.env[variable]
  if (!value) throw new UsageError(`--header-env: the environment variable ${variable} is not set`, command)
  // A service may repeat it, with or without the word before it.
  neverShow([value, ...value.split(/\s+/)].filter((text) => text.length >= key_letters_min))
  const service = oneOf(command, [...new Set(services)], wanted)
  return (attempt) => (attempt.service === service ? { [name]: value } : {})
}

function oneOf(command: Command, services: readonly string[], wanted: string | undefined): string | undefined {
  const found = wanted === undefined ? services : services.filter((service) => isNamed(service, wanted))
  if (found.length === 0 && services.length > 0)
    throw new UsageError(`--service names none of those that are spoken to: ${services.join(", ")}`, command)
  if (found.length <= 1) return found[0]
  throw new UsageError(`which service is the header for? Say --service with one of ${found.join(", ")}`, command)
}

/** By its endpoint, or what that begins with up to a slash: `http://a:80` is not `http://a:8080`. */
function isNamed(service: string, wanted: string): boolean {
  return service === wanted || service.startsWith(wanted.endsWith("/") ? wanted : `${wanted}/`)
}
