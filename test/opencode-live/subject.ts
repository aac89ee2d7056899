/** What is tried: opencode's built-in share client, or Sturdy's plugin over one of its transports. */
import { pathToFileURL } from "node:url"
import { join } from "node:path"
import type { PluginSpec } from "./box.ts"
import type { ServiceKind } from "./service.ts"

export type Transport = "rpc" | "http" | "rest" | "auto"

export const transports: readonly Transport[] = ["rpc", "http", "rest", "auto"]

export interface Subject {
  name: string
  service: ServiceKind
  /** False: it has nothing that finishes later, so nothing is waited for. */
  durable: boolean
  /** Its service can be told of removals and of the ends of turns: opencode's own REST knows neither. */
  tells: boolean
  /** The URL of a share can be told without its service. */
  foresees: boolean
  env: Record<string, string>
  plugins(service_url: string, options: Record<string, unknown>): PluginSpec[]
}

export const builtIn: Subject = {
  name: "built-in",
  service: "legacy",
  durable: false,
  tells: true,
  foresees: false,
  env: {},
  plugins: () => [],
}

/** Loaded from this checkout, as a package: opencode takes its `exports["./server"]`. */
export function plugin(transport: Transport): Subject {
  const checkout = pathToFileURL(join(import.meta.dir, "..", "..")).href
  return {
    name: `plugin (${transport})`,
    service: transport === "rest" ? "legacy" : "sturdy",
    durable: true,
    tells: transport !== "rest",
    foresees: transport !== "rest",
    env: { OPENCODE_SHARE_TRANSPORT: transport },
    plugins: (service_url, options) => [[checkout, { service: service_url, ...options }]],
  }
}
