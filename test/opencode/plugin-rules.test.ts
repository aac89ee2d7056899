/** What a directory's redact hook leaves out stays out: also of what was told before, and of what goes on elsewhere. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "bun:test"
import plugin from "../../src/opencode/server.ts"
import { until } from "../until.ts"
import { pluginBox } from "./plugin-box.ts"
import { newId } from "./stand-in.ts"

type Box = Awaited<ReturnType<typeof pluginBox>>

/** Writes a redact hook of this body and chooses it for the next load. A new file each: modules are loaded once. */
function useRedact({ opencode, options }: Box, body: string): void {
  const name = `${newId("redact")}.ts`
  mkdirSync(opencode.directory, { recursive: true })
  writeFileSync(join(opencode.directory, name), `export default ({ method, value }) => { ${body} }`)
  options.redact = `./${name}`
}

const withoutSecrets = `return JSON.stringify(value).includes("s3cr3t") ? undefined : value`

test("a hook that comes later takes from the share what it leaves out", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "open")
  opencode.say(id, "a s3cr3t")
  const share = (await opencode.share(id))!
  await until(async () => (await box.texts(share.id)).length === 2)
  useRedact(box, withoutSecrets)
  await opencode.load()
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["open"]))
})

test("a hook that is taken away brings back what it left out", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  useRedact(box, withoutSecrets)
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "open")
  opencode.say(id, "a s3cr3t")
  const share = (await opencode.share(id))!
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["open"]))
  delete box.options.redact
  await opencode.load()
  await until(async () => (await box.texts(share.id)).length === 2)
})

test("a part that comes to hold what is left out is taken from the share", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  useRedact(box, withoutSecrets)
  await opencode.load()
  const id = opencode.session()
  const message_id = opencode.say(id, "open")
  const part = { id: newId("prt"), messageID: message_id, sessionID: id, type: "text", text: "still open" }
  opencode.putPart(id, part)
  const share = (await opencode.share(id))!
  await until(async () => (await box.texts(share.id)).length === 2)
  opencode.putPart(id, { ...part, text: "now a s3cr3t" })
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["open"]))
  expect(JSON.stringify(box.service.sql.all("SELECT args FROM applied"))).not.toContain("s3cr3t")
})

test("what a session does in another directory, with other options, is told by its own only", async () => {
  await using box = await pluginBox()
  const { opencode, options } = box
  useRedact(box, withoutSecrets)
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "open")
  await until(async () => (await box.texts(share.id)).length === 1)
  const own = opencode.hooks
  const { redact: _redact, ...others } = options
  const elsewhere = await plugin.server({ client: opencode.client, directory: join(box.dir.path, "other") }, others)
  await elsewhere.config?.({})
  opencode.hooks = elsewhere
  opencode.say(id, "a s3cr3t from elsewhere")
  opencode.say(id, "and something open")
  opencode.idle(id)
  opencode.hooks = own
  opencode.idle(id)
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["open", "and something open"]))
  expect(JSON.stringify(box.service.sql.all("SELECT args FROM applied"))).not.toContain("s3cr3t")
})

test("a service that makes the URL itself and is not there: sharing fails at once, and nothing is made later", async () => {
  await using box = await pluginBox()
  const { OPENCODE_SHARE_TRANSPORT: before } = process.env
  process.env.OPENCODE_SHARE_TRANSPORT = "rest"
  box.options.service = "http://127.0.0.1:9"
  box.options.database = box.dir.file("rest.db")
  await box.opencode.load()
  if (before === undefined) delete process.env.OPENCODE_SHARE_TRANSPORT
  else process.env.OPENCODE_SHARE_TRANSPORT = before
  const id = box.opencode.session()
  expect(await box.opencode.share(id)).toBeUndefined()
  expect(box.opencode.toasts.some((toast) => toast.includes("does not answer"))).toBe(true)
}, 3_000)
