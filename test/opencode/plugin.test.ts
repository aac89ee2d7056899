/** The plugin as opencode loads it: its hooks, its gateway, what happened while it was not there. */
import { afterEach, beforeEach, expect, test } from "bun:test"
import { outboxFile } from "../../src/opencode/data-place.ts"
import { openDatabaseForReading } from "../../src/store/database.ts"
import { tempDir } from "../temp-dir.ts"
import { until } from "../until.ts"
import { type Item, pluginBox } from "./plugin-box.ts"
import { newId, StandIn } from "./stand-in.ts"

let box: Awaited<ReturnType<typeof pluginBox>>
let opencode: StandIn

beforeEach(async () => {
  box = await pluginBox()
  opencode = box.opencode
})

afterEach(() => box[Symbol.asyncDispose]())

const shown = (id: string) => box.shown(id)
const texts = (id: string) => box.texts(id)
const turns = () => box.turns()

test("share gives the URL of the service at once, and everything that is there already is shown", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "hello")
  opencode.answer(id, "hi")
  const share = (await opencode.share(id))!
  expect(share.url).toBe(`${box.service.url}/share/${share.id}`)
  await until(async () => Bun.deepEquals(await texts(share.id), ["hello", "hi"]))
})

test("share twice at once is one share", async () => {
  await opencode.load()
  const id = opencode.session()
  const [one, two] = await Promise.all([opencode.share(id), opencode.share(id)])
  expect(one).toEqual(two!)
})

test("the service being down, share gives the final URL, and all is there later", async () => {
  await opencode.load()
  const up = await box.down()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "while it was down")
  up()
  await until(async () => Bun.deepEquals(await texts(share.id), ["while it was down"]))
  expect(share.url).toBe(`${box.service.url}/share/${share.id}`)
})

test("unshare removes the share, and sharing again makes another one with everything", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "one")
  const first = (await opencode.share(id))!
  expect(await opencode.unshare(id)).toBe(true)
  opencode.say(id, "two")
  const second = (await opencode.share(id))!
  await until(async () => (await shown(first.id)) === 410 && Bun.deepEquals(await texts(second.id), ["one", "two"]))
})

test("dispose waits for what was recorded right before it to be sent", async () => {
  let isHeld = false
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const front = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      if (isHeld) asked.resolve()
      if (isHeld) await answer.promise
      return box.service.fetch(request)
    },
  })
  box.options.service = front.url.origin
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  isHeld = true
  opencode.say(id, "the answer")
  let isOver = false
  const disposed = opencode.hooks.dispose!().then(() => (isOver = true))
  await asked.promise
  expect(isOver).toBe(false)
  answer.resolve()
  await disposed
  expect(await texts(share.id)).toEqual(["the answer"])
  await front.stop(true)
})

test("a session that is deleted takes its share with it", async () => {
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.delete(id)
  await until(async () => (await shown(share.id)) === 410)
})

test("what happened while the plugin was not there is caught up at the next start", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "heard")
  const gone = opencode.say(id, "removed unheard")
  const share = (await opencode.share(id))!
  await until(async () => (await texts(share.id)).length === 2)
  opencode.deaf = true
  opencode.say(id, "unheard")
  opencode.removeMessage(id, gone)
  opencode.retitle(id, "Another title")
  opencode.deaf = false
  await opencode.load()
  await until(async () => Bun.deepEquals(await texts(share.id), ["heard", "unheard"]))
  const session = ((await shown(share.id)) as Item[]).find(({ type }) => type === "session")
  expect(session?.data.title).toBe("Another title")
})

test("a start at which nothing was missed records nothing", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "hello")
  const share = (await opencode.share(id))!
  await until(async () => (await texts(share.id)).length === 1)
  await opencode.hooks.dispose?.()
  const recorded = () => {
    using db = openDatabaseForReading(outboxFile(process.env))
    return db.query("select count(*) from sturdy_op").values()
  }
  const before = recorded()
  await opencode.load()
  opencode.idle(id)
  await opencode.hooks.dispose?.()
  expect(recorded()).toEqual(before)
})

test("a session that was deleted while the plugin was not there loses its share", async () => {
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  await until(async () => Array.isArray(await shown(share.id)))
  opencode.deaf = true
  opencode.delete(id)
  opencode.deaf = false
  await opencode.load()
  await until(async () => (await shown(share.id)) === 410)
})

test("opencode not answering, a share is kept: that is no word that its session is gone", async () => {
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  opencode.say(id, "hello")
  await until(async () => (await texts(share.id)).length === 1)
  opencode.silent = true
  await opencode.load()
  opencode.say(id, "still here")
  await until(async () => (await texts(share.id)).length === 2)
})

test("a running turn is streaming, and completed when it ends", async () => {
  await opencode.load()
  const id = opencode.session()
  await opencode.share(id)
  opencode.answer(id, "hi", false)
  await until(() => Bun.deepEquals(turns(), ["streaming"]))
  opencode.answer(id, "ho")
  await until(() => turns().includes("completed"))
})

test("a turn that nobody works at is interrupted when the session is caught up", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.deaf = true
  opencode.answer(id, "cut short", false)
  opencode.deaf = false
  await opencode.share(id)
  await until(() => Bun.deepEquals(turns(), ["interrupted"]))
})

test("a share that opencode's own client made is taken over, and removed when it is unshared", async () => {
  const id = opencode.session()
  opencode.say(id, "from before")
  const made = await fetch(`${box.service.url}/api/share`, {
    method: "POST",
    body: JSON.stringify({ sessionID: id }),
    headers: { "content-type": "application/json" },
  })
  const share = (await made.json()) as { id: string; secret: string; url: string }
  opencode.db.query("insert into session_share values (?, ?, ?, ?)").run(id, share.id, share.secret, share.url)
  await opencode.load({ enterprise: { url: box.service.url } })
  await until(async () => Bun.deepEquals(await texts(share.id), ["from before"]))
  expect(await opencode.unshare(id)).toBe(true)
  await until(async () => (await shown(share.id)) === 410)
})

test("options and headers of a model never leave", async () => {
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "hello")
  const share = (await opencode.share(id))!
  await until(async () => ((await shown(share.id)) as Item[]).some(({ type }) => type === "model"))
  const all = JSON.stringify(box.service.sql.all("SELECT args FROM applied")) + JSON.stringify(await shown(share.id))
  expect(all).toContain('"large"')
  expect(all).not.toContain("s3cr3t")
})

test.each(["event", "properties", "info"])("an event without what it needs (%s) breaks nothing", async (part) => {
  await opencode.load()
  const id = opencode.session()
  const share = (await opencode.share(id))!
  const broken = {
    event: undefined,
    properties: { id: newId("evt"), type: "message.updated" },
    info: { id: newId("evt"), type: "message.updated", properties: { sessionID: id } },
  }[part]
  await opencode.hooks.event?.({ event: broken as never })
  opencode.say(id, "goes on")
  await until(async () => Bun.deepEquals(await texts(share.id), ["goes on"]))
})

test.each([
  ["an unknown option", { sevrice: "http://127.0.0.1:1" }],
  ["a service that is no URL", { service: "nowhere" }],
  ["a redact module that is not there", { redact: "./not-there.ts" }],
])("with %s nothing is shared, and it is said", async (_, options) => {
  await using dir = tempDir()
  using other = new StandIn(dir.path, options)
  await other.load()
  expect(other.config.share).toBe("disabled")
  await until(() => other.toasts.some((toast) => toast.startsWith("nothing is shared: ")))
})

test("the gateway answers nobody who does not know its key", async () => {
  await opencode.load()
  const { origin } = new URL((opencode.config.enterprise as { url: string }).url)
  for (const path of ["/api/share", "/x/0/api/share"]) {
    const response = await fetch(`${origin}${path}`, { method: "POST", body: JSON.stringify({ sessionID: "ses_1" }) })
    expect(response.status).toBe(404)
  }
})

test("opencode's own proxy settings leave out the loopback", async () => {
  await opencode.load()
  expect(process.env.NO_PROXY?.split(",")).toContain("127.0.0.1")
})
