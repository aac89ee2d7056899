/** The plugin listed twice, in two forms or with other options: one outbox, one gateway, and the later one's word counts. */
import { afterEach, beforeEach, expect, test } from "bun:test"
import plugin from "../../src/opencode/server.ts"
import { until } from "../until.ts"
import { bundleTo } from "./package-forms.ts"
import { pluginBox } from "./plugin-box.ts"
import { newId, type StandIn } from "./stand-in.ts"

type Plugin = typeof plugin
type Hooks = Awaited<ReturnType<Plugin["server"]>>

let box: Awaited<ReturnType<typeof pluginBox>>
let opencode: StandIn

beforeEach(async () => {
  box = await pluginBox()
  opencode = box.opencode
})

afterEach(() => box[Symbol.asyncDispose]())

const texts = (id: string) => box.texts(id)

/** As opencode does with a list of plugins: all are set up, then each sees the configuration, and every event. */
async function loadAll(...listed: [Plugin, object][]): Promise<void> {
  opencode.config = { enterprise: { url: box.service.url } }
  const all: Hooks[] = []
  for (const [{ server }, options] of listed)
    all.push(await server({ client: opencode.client, directory: opencode.directory }, options))
  for (const { config } of all) await config?.(opencode.config)
  opencode.hooks = {
    async event(input) {
      for (const { event } of all) void event?.(input)
    },
    dispose: async () => void (await Promise.all(all.map(({ dispose }) => dispose?.()))),
  }
}

test("as a checkout and as one bundled file it shares once, at the service that opencode is configured for", async () => {
  const file = box.dir.file("sturdy-opencode.js")
  bundleTo(file)
  const { default: bundled } = (await import(file)) as { default: Plugin }
  await loadAll([plugin, {}], [bundled, {}])
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "hello")
  await until(async () => Bun.deepEquals(await texts(share.id), ["hello"]))
  expect(box.service.sql.get("SELECT count(*) AS n FROM share")).toEqual({ n: 1 })
  expect(opencode.toasts).toEqual([])
})

test("the redact of the later one holds for both", async () => {
  const redact = box.dir.file("redact.ts")
  await Bun.write(
    redact,
    `export default ({ method, value }) => method === "part.put" ? { ...value, text: "…" } : value`,
  )
  await loadAll([plugin, {}], [plugin, { redact }])
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "s3cr3t")
  await until(async () => Bun.deepEquals(await texts(share.id), ["…"]))
  opencode.idle(id)
  opencode.say(id, "s3cr3t")
  await until(async () => (await texts(share.id)).length === 2)
  expect(JSON.stringify(box.service.sql.all("SELECT args FROM applied"))).not.toContain("s3cr3t")
})

test("the redact of the later one holds for what was missed, too", async () => {
  const redact = box.dir.file("redact.ts")
  await Bun.write(redact, `export default ({ method, value }) => (method === "part.put" ? undefined : value)`)
  await loadAll([plugin, {}], [plugin, { redact }])
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.deaf = true
  const message = opencode.say(id, "s3cr3t")
  opencode.deaf = false
  await loadAll([plugin, {}], [plugin, { redact }])
  await until(async () =>
    JSON.stringify(await (await fetch(`${box.service.url}/api/share/${share.id}/data`)).json()).includes(message),
  )
  expect(JSON.stringify(box.service.sql.all("SELECT args FROM applied"))).not.toContain("s3cr3t")
})

test("a text that is being written is told as it is, though both hear it", async () => {
  await loadAll([plugin, { liveTextMs: 100 }], [plugin, { liveTextMs: 100 }])
  const id = opencode.session()
  const share = (await opencode.share(id))!
  const message = opencode.answer(id, "", false)
  const [partID] = opencode.sessions.get(id)!.messages.get(message)!.parts.keys()
  const words = ["one ", "two ", "three "]
  const delta = (text: string) => {
    const properties = { sessionID: id, messageID: message, partID, field: "text", delta: text }
    opencode.announce({ id: newId("evt"), type: "message.part.delta", properties })
  }
  words.forEach(delta)
  // Until the interval is over nothing is told.
  await until(async () => {
    delta("")
    return (await texts(share.id)).some((text) => text !== "")
  })
  expect(await texts(share.id)).toEqual(["one two three "])
})
