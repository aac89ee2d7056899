/**
 * Loads the plugin as opencode does, by the module that is named, and sets it up with a stand-in of opencode's client.
 * A session is shared as opencode's own share client would, through the gateway; then it goes on, and opencode ends.
 */
import { argv } from "node:process"

const [module, service, database] = argv.slice(2) as [string, string, string]

interface Hooks {
  config(config: Record<string, unknown>): Promise<void>
  event(input: { event: object }): Promise<void>
  dispose(): Promise<void>
}
interface Plugin {
  id: string
  server(input: object, options: object): Promise<Hooks>
}

const info = { id: "ses_1", title: "A session", directory: process.cwd() }
const message = { id: "msg_1", sessionID: "ses_1", role: "user" }
const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", type: "text", text: "hello" }
const said: unknown[] = []
const answer = (data: unknown) => async () => ({ data, response: new Response() })
const client = {
  session: {
    get: answer(info),
    messages: answer([{ info: message, parts: [part] }]),
    children: answer([]),
    diff: answer([]),
  },
  config: { providers: answer({ providers: [] }) },
  app: { log: async ({ body }: { body: unknown }) => void said.push(body) },
  tui: { showToast: async () => {} },
}

const began = performance.now()
const loaded = (await import(module)) as { default: Plugin }
const import_ms = Math.round((performance.now() - began) * 10) / 10
const plugin = loaded.default
const hooks = await plugin.server({ client, directory: process.cwd() }, { service, database })
const config: { enterprise?: { url?: string } } = { enterprise: { url: "https://elsewhere.example" } }
await hooks.config(config as Record<string, unknown>)
const gateway = config.enterprise!.url!
await hooks.event({ event: { id: "evt_1", type: "session.created", properties: { sessionID: "ses_1", info } } })
const asked = { method: "POST", body: JSON.stringify({ sessionID: "ses_1" }) }
const share = (await (await fetch(`${gateway}/api/share`, asked)).json()) as { id: string; url: string }
await hooks.event({
  event: { id: "evt_2", type: "message.updated", properties: { sessionID: "ses_1", info: message } },
})
await hooks.event({ event: { id: "evt_3", type: "message.part.updated", properties: { sessionID: "ses_1", part } } })
await hooks.dispose()
const exported = Object.keys(loaded)
console.log(JSON.stringify({ exported, id: plugin.id, names: Object.keys(plugin), gateway, share, said, import_ms }))
// As opencode does: it waits for nothing that still listens.
process.exit()
