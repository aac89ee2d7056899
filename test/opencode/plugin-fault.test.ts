/** The plugin where something about it is not as it should be: its options, its outbox, opencode's database, the service. */
import { expect, test } from "bun:test"
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { openOutbox } from "../../src/index.ts"
import { noteAsked } from "../../src/opencode/asked-share.ts"
import { shareChild } from "../../src/opencode/child-shares.ts"
import { outboxFile } from "../../src/opencode/data-place.ts"
import { SessionShares } from "../../src/opencode/session-shares.ts"
import { processIdentity } from "../../src/store/process-identity.ts"
import { until } from "../until.ts"
import { pluginBox } from "./plugin-box.ts"

test("with OPENCODE_DISABLE_SHARE nothing is heard, shared or sent, shared before or not", async () => {
  await using box = await pluginBox()
  const { OPENCODE_DISABLE_SHARE: before } = process.env
  process.env.OPENCODE_DISABLE_SHARE = "true"
  await box.opencode.load()
  expect([box.opencode.hooks, box.opencode.config]).toEqual([{}, {}])
  if (before === undefined) delete process.env.OPENCODE_DISABLE_SHARE
  else process.env.OPENCODE_DISABLE_SHARE = before
})

test("what is shared is redacted by the options of the last setup, whichever one hears it first", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const earlier = opencode.hooks
  const id = opencode.session()
  opencode.say(id, "open")
  const share = (await opencode.share(id))!
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["open"]))
  mkdirSync(opencode.directory)
  const redact = `export default ({ method, value }) => (method === "part.put" ? { ...value, text: "-" } : value)`
  writeFileSync(join(opencode.directory, "redact.ts"), redact)
  box.options.redact = "./redact.ts"
  await opencode.load()
  const later = opencode.hooks
  opencode.hooks = {
    ...later,
    event: async (input) => {
      await earlier.event?.(input)
      await later.event?.(input)
    },
  }
  opencode.say(id, "a secret")
  await until(async () => (await box.texts(share.id)).at(-1) === "-")
  expect(JSON.stringify(box.service.sql.all("SELECT args FROM applied"))).not.toContain("a secret")
})

test("once the options cannot be met, the setup before them shares nothing more", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const { hooks } = opencode
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "before")
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["before"]))
  box.options.redact = "./not-there.ts"
  await opencode.load()
  opencode.hooks = hooks
  opencode.say(id, "after")
  opencode.idle(id)
  await hooks.dispose?.()
  expect(await box.texts(share.id)).toEqual(["before"])
})

test("a configuration in which a gateway stands already leads to the service behind it", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  delete box.options.service
  await opencode.load({ enterprise: { url: box.service.url } })
  await opencode.load(opencode.config)
  const share = await opencode.share(opencode.session())
  expect(share?.url).toBe(`${box.service.url}/share/${share?.id}`)
})

test("with the gateway of an opencode that is no more as its service nothing is shared, and it is said", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  delete box.options.service
  await opencode.load({ enterprise: { url: `http://127.0.0.1:9/${"k".repeat(22)}/0` } })
  expect(opencode.config.share).toBe("disabled")
  await until(() => opencode.toasts.some((toast) => toast.includes("an earlier opencode")))
})

test("an outbox that cannot be opened at the start is opened later, and what was missed is shared", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  const id = opencode.session()
  const outbox = openOutbox(outboxFile(process.env))
  const { stream } = new SessionShares(outbox).share(id, `${box.service.url}/rpc/share`)
  const { share_id } = stream.status()
  await outbox.close()
  const hindrance = `${outboxFile(process.env)}-journal`
  mkdirSync(hindrance)
  await opencode.load()
  await until(() => opencode.toasts.length > 0)
  opencode.say(id, "meanwhile")
  rmdirSync(hindrance)
  await until(async () => Bun.deepEquals(await box.texts(share_id), ["meanwhile"]))
})

test("a session that this opencode's database never had keeps its share", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  const id = opencode.session()
  const outbox = openOutbox(outboxFile(process.env))
  const shares = new SessionShares(outbox)
  const [another, own] = ["ses_of_another", id].map((name) => {
    const { stream } = shares.share(name, `${box.service.url}/rpc/share`)
    stream.record({ method: "session.put", args: [{ id: name }], key: "session", onlyIfChanged: true })
    return stream.status().share_id
  })
  await outbox.close()
  opencode.say(id, "looked at after the other one")
  await opencode.load()
  await until(async () => (await box.texts(own!)).length === 1)
  await opencode.hooks.dispose?.()
  expect(await box.shown(another!)).toBeArray()
})

test("unshare holds when opencode's database is another than it was", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  await until(async () => Array.isArray(await box.shown(share.id)))
  opencode.db.run("alter table session rename to sessions")
  expect(await opencode.unshare(id)).toBe(true)
  await until(async () => (await box.shown(share.id)) === 410)
})

test("a session that was shared again by an opencode without the plugin is unshared wholly", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load({ enterprise: { url: box.service.url } })
  const id = opencode.session()
  const ours = (await opencode.share(id))!
  await until(async () => Array.isArray(await box.shown(ours.id)))
  const made = await fetch(`${box.service.url}/api/share`, { method: "POST", body: JSON.stringify({ sessionID: id }) })
  const theirs = (await made.json()) as { id: string; secret: string }
  opencode.db.query("update session_share set id = ?, secret = ?").run(theirs.id, theirs.secret)
  expect(await opencode.unshare(id)).toBe(true)
  await until(async () => (await box.shown(ours.id)) === 410 && (await box.shown(theirs.id)) === 410)
})

test("what is too large for the service is cut, and holds up nothing else", async () => {
  await using box = await pluginBox({ limits: { op_bytes_max: 1, batch_bytes_max: 1 } })
  const { opencode } = box
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "small")
  await until(async () => (await box.texts(share.id)).length === 1)
  opencode.say(id, "x".repeat(400_000))
  opencode.deaf = true
  opencode.say(id, "y".repeat(400_000))
  opencode.say(id, "the end")
  opencode.deaf = false
  opencode.idle(id)
  await until(async () => (await box.texts(share.id)).at(-1) === "the end")
  const [, heard, found] = (await box.texts(share.id)) as string[]
  expect([heard, found].map((text) => text!.slice(-40))).toEqual(
    Array<string>(2).fill("more characters are not shared: too large]".slice(-40)),
  )
})

test("a session of another directory of the project, that is shared here, shows what is there", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const id = opencode.session({ directory: "/elsewhere" })
  opencode.say(id, "before")
  const share = (await opencode.share(id))!
  opencode.say(id, "after")
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["before", "after"]))
})

test("a turn in the middle of which its session is shared is streaming", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const id = opencode.session()
  opencode.answer(id, "so far", false)
  await opencode.share(id)
  await until(() => box.turns().length > 0)
  expect(box.turns()).toEqual(["streaming"])
})

test.each([false, true])(
  "a share that was asked for by a process that died stays if it was told (%p)",
  async (told) => {
    await using box = await pluginBox()
    const { opencode } = box
    const id = opencode.session()
    const outbox = openOutbox(outboxFile(process.env))
    noteAsked(outbox, id)
    const asked = outbox.bookmark(`opencode/asked/${id}`)!
    const mark = asked.mark!.replace(processIdentity().boot_id, "another-boot")
    outbox.unit(() => {}, { bookmark: { ...asked, mark } })
    const { stream } = new SessionShares(outbox).share(id, `${box.service.url}/rpc/share`)
    await outbox.flush()
    const { share_id, secret } = stream.ref()
    await outbox.close()
    if (told) opencode.db.query("insert into session_share values (?, ?, ?, 'url')").run(id, share_id, secret)
    opencode.say(id, "found at the start")
    await opencode.load()
    await until(async () => (told ? (await box.texts(share_id)).length === 1 : (await box.shown(share_id)) === 410))
  },
)

test("a setup with another outbox takes the directory's sessions over from the one before", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  await opencode.load()
  const earlier = opencode.hooks
  const id = opencode.session()
  const first = (await opencode.share(id))!
  box.options.database = "../other.db"
  await opencode.load()
  expect(await opencode.unshare(id)).toBe(true)
  const second = (await opencode.share(id))!
  const later = opencode.hooks
  opencode.hooks = { event: async (input) => earlier.event?.(input) }
  opencode.say(id, "heard by the earlier")
  opencode.hooks = later
  opencode.say(id, "heard by the later")
  await until(async () => (await box.texts(second.id)).includes("heard by the later"))
  await earlier.dispose?.()
  expect([await box.texts(first.id), existsSync(box.dir.file("other.db"))]).toEqual([[], true])
})

test("a child's share that was made while its parent's was removed elsewhere is removed as well", async () => {
  await using box = await pluginBox()
  const { opencode } = box
  const parent = opencode.session()
  const child = opencode.session({ parentID: parent })
  const outbox = openOutbox(outboxFile(process.env))
  const shares = new SessionShares(outbox)
  const { stream } = shares.share(parent, `${box.service.url}/rpc/share`)
  const { share_id } = shareChild(shares, child, parent)!.status()
  stream.remove()
  await outbox.flush()
  expect(await box.shown(share_id)).toBeArray()
  await outbox.close()
  await opencode.load()
  await until(async () => (await box.shown(share_id)) === 410)
})
