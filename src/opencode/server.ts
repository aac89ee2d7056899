/**
 * The plugin of opencode 1.18: `"plugin": ["sturdy"]` in opencode.json. opencode finds it by `exports["./server"]`, and
 * takes this form of module, with a default export and no other. The guide: docs/opencode.md.
 */
import { SturdyError } from "../intent/error.ts"
import { systemSeams } from "../intent/system.ts"
import type { OpencodeClient } from "./client.ts"
import { type BusEvent, isRecord } from "./event.ts"
import { tellOpencode } from "./notice.ts"
import { PluginInstance } from "./plugin-instance.ts"
import { pluginOptions } from "./plugin-options.ts"
import { PluginProcess } from "./plugin-process.ts"
import { loadRedact } from "./redact.ts"
import { none } from "./share-rules.ts"

interface PluginInput {
  client: OpencodeClient
  directory: string
  project?: { id?: unknown }
}

interface Hooks {
  config?(config: Record<string, unknown>): Promise<void>
  event?(input: { event: BusEvent }): Promise<void>
  dispose?(): Promise<void>
}

/** A port that is reserved and not used (RFC 863's discard service is at 9): connections are refused. */
const nowhere = "http://127.0.0.1:9"

/**
 * Of the flush when opencode ends, ms. `opencode run` waits for as long as it takes, its TUI for 5 s, and `serve` does
 * not ask (measured). What is left is sent by the next process.
 */
const dispose_ms = 1_000

async function server(input: PluginInput, given?: unknown): Promise<Hooks> {
  // As in opencode: neither share nor sync nor unshare. What waits in the outbox waits.
  if (/^(1|true)$/i.test(process.env.OPENCODE_DISABLE_SHARE ?? "")) return {}
  try {
    const options = pluginOptions(given, process.env)
    const redacting =
      options.redact === undefined
        ? { redact: undefined, rules: none }
        : await loadRedact(options.redact, input.directory)
    const { directory, client } = input
    const host = PluginProcess.of(options, directory, systemSeams)
    return sharing(
      input,
      new PluginInstance(host, { directory, client, project_id: projectOf(input), options, ...redacting }),
    )
  } catch (error) {
    PluginProcess.retire(input.directory)
    return { config: async (config) => shareNothing(config, input.client, error) }
  }
}

/** What lies in no repository is one project to opencode, `global`: directories that have nothing to do with each other. */
function projectOf({ project }: PluginInput): string | undefined {
  return typeof project?.id === "string" && project.id !== "global" ? project.id : undefined
}

function sharing({ directory }: PluginInput, instance: PluginInstance): Hooks {
  const { host } = instance
  host.add(directory, instance)
  return {
    async config(config) {
      try {
        const enterprise = isRecord(config.enterprise) ? config.enterprise : {}
        const gateway = host.gatewayUrl(directory)
        instance.configure(enterprise.url)
        config.enterprise = { ...enterprise, url: gateway }
      } catch (error) {
        PluginProcess.retire(directory)
        shareNothing(config, instance.client, error)
      }
      host.seams.clock.soon(() => instance.start())
    },
    // Not awaited by opencode; what it throws before its first await would break the user's turn.
    async event({ event }) {
      try {
        // A setup that another one follows hears for a while what that one hears as well, or only it: its options hold.
        host.at(directory)?.hear(event)
      } catch (error) {
        instance.failed(error)
      }
    },
    async dispose() {
      await host.flush(dispose_ms)
    },
  }
}

/**
 * What was asked for cannot be done: nothing is shared, rather than by the built-in client and without what the user
 * wanted, e.g. unredacted. Sessions that are shared already would go on: so that client is sent to where nobody listens.
 */
function shareNothing(config: Record<string, unknown>, client: OpencodeClient, error: unknown): void {
  config.share = "disabled"
  config.enterprise = { ...(isRecord(config.enterprise) && config.enterprise), url: nowhere }
  const hint = error instanceof SturdyError ? `. ${error.hint}` : ""
  const message = `nothing is shared: ${error instanceof Error ? error.message : String(error)}${hint}`
  systemSeams.clock.soon(() => tellOpencode(client, { level: "error", message }))
}

export default { id: "sturdy", server }
