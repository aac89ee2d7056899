/** What a user may say: the plugin's options in opencode.json, and the environment. All of it checked before anything is shared. */
import { SturdyError } from "../intent/error.ts"
import { shapeProblem } from "../intent/shape.ts"
import { endpointOf, endpointProblem } from "../wire/endpoint.ts"
import { isLiveTextMs, live_text_ms_min } from "./live-text.ts"

export type ShareTransport = "rpc" | "http" | "rest" | "auto"

export interface PluginOptions {
  /** Origin of the share service, or its Cap'n Web endpoint. Undefined: what opencode itself is configured to use. */
  service: string | undefined
  /** Path of the outbox file. Undefined: beside opencode's data. */
  database: string | undefined
  /** Sessions that a shared session starts (subagents) get shares of their own. */
  children: boolean
  /** Path of a module whose default export is a `Redact`. */
  redact: string | undefined
  /** Between two checkpoints of a text that is being written, ms. Undefined: none. */
  liveTextMs: number | undefined
  transport: ShareTransport
  /** Sent to the service as `Sturdy-Service-Key`, for those who let only their own in. */
  serviceKey: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

const names = ["service", "database", "children", "redact", "liveTextMs"]

/** @throws SturdyError `invalid_argument`, naming the option; never a value, which may be a secret. */
export function pluginOptions(given: unknown, env: Environment): PluginOptions {
  const misshapen = shapeProblem(given ?? {}, names)
  if (misshapen) throw wrong(`the object ${misshapen}`)
  const { service, database, children = false, redact, liveTextMs } = (given ?? {}) as Record<string, unknown>
  if (typeof children !== "boolean") throw wrong("children must be true or false")
  if (!isLiveTextMs(liveTextMs)) throw wrong(`liveTextMs must be a number of milliseconds from ${live_text_ms_min} on`)
  return {
    service: service === undefined ? undefined : serviceEndpoint(service),
    database: textOf("database", database),
    children,
    redact: textOf("redact", redact),
    liveTextMs,
    transport: transportOf(env.OPENCODE_SHARE_TRANSPORT),
    serviceKey: keyOf(env.OPENCODE_SHARE_RPC_KEY),
  }
}

/** Cap'n Web endpoint of a service given by its origin, or by that endpoint. @throws SturdyError `invalid_argument` */
export function serviceEndpoint(service: unknown): string {
  const problem = endpointProblem(service)
  if (problem) throw wrong(`service ${problem}`)
  return endpointOf(service as string)
}

function textOf(name: string, value: unknown): string | undefined {
  if (typeof value === "string" && value.startsWith("~"))
    throw wrong(`${name} must not begin with ~: only a shell knows it`)
  if (value === undefined || (typeof value === "string" && value !== "")) return value
  throw wrong(`${name} must be a path`)
}

function transportOf(value: string | undefined): ShareTransport {
  if (value === undefined || value === "") return "auto"
  if (value === "rpc" || value === "http" || value === "rest" || value === "auto") return value
  throw wrong("OPENCODE_SHARE_TRANSPORT must be rpc, http, rest or auto")
}

function keyOf(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return
  // What HTTP takes as a header's value, and nothing that could begin another one.
  if (/^[\x21-\x7e]+$/.test(value)) return value
  throw wrong("OPENCODE_SHARE_RPC_KEY must be printable ASCII without spaces")
}

function wrong(message: string): SturdyError {
  return new SturdyError("invalid_argument", `sturdy's options: ${message}`, "See docs/opencode.md, Options.")
}
