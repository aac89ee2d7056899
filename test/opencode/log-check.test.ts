/** What opencode's event log proves, and what it does not. */
import { expect, test } from "bun:test"
import { until } from "../until.ts"
import { pluginBox } from "./plugin-box.ts"
import { newId } from "./stand-in.ts"

/** A shared session of one text that is checked, and how often its messages are asked for. */
async function checkedSession() {
  const box = await pluginBox()
  const { opencode } = box
  const client = opencode.client
  let asked = 0
  const messages = (input?: object) => (asked++, client.session!.messages!(input))
  Object.defineProperty(opencode, "client", { value: { ...client, session: { ...client.session, messages } } })
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "one")
  const share = (await opencode.share(id))!
  await until(async () => (await box.shown(share.id)).toString().split(",").length === 4)
  await opencode.hooks.dispose?.()
  return { box, opencode, id, share, asked: () => asked }
}

test("of a session whose info changes without events the messages are not asked for at every turn", async () => {
  const { box, opencode, id, share, asked } = await checkedSession()
  await using _ = box
  const before = asked()
  for (const cost of [1, 2, 3]) {
    opencode.retitle(id, `Title ${cost}`)
    const session = opencode.sessions.get(id)!
    session.info = { ...session.info, cost }
    opencode.idle(id)
    await until(async () => {
      const items = await box.shown(share.id)
      return Array.isArray(items) && items.some(({ type, data }) => type === "session" && data.cost === cost)
    })
  }
  await opencode.hooks.dispose?.()
  expect(asked()).toBe(before)
})

test.each([
  ["pruned", "delete from event"],
  ["pruned but for its end", "delete from event where seq < (select seq from event_sequence)"],
  ["begun anew", "update event_sequence set seq = 0; delete from event"],
])("a log that was %s proves nothing", async (_, sql) => {
  const { box, opencode, id, share } = await checkedSession()
  await using _box = box
  opencode.deaf = true
  opencode.say(id, "two")
  opencode.deaf = false
  opencode.retitle(id, "heard")
  for (const statement of sql.split("; ")) opencode.db.run(statement)
  opencode.idle(id)
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one", "two"]))
})

test("what was recorded in another order than opencode's, as by two processes, is put right when the turn ends", async () => {
  const { box, opencode, id, share } = await checkedSession()
  await using _ = box
  const real = opencode.hooks
  const held: Parameters<NonNullable<typeof real.event>>[0][] = []
  opencode.hooks = { ...real, event: async (told) => void held.push(structuredClone(told)) }
  const [message_id] = opencode.sessions.get(id)!.messages.keys()
  const part = { id: newId("prt"), messageID: message_id, sessionID: id, type: "text" }
  opencode.putPart(id, { ...part, text: "older" })
  opencode.putPart(id, { ...part, text: "newer" })
  opencode.hooks = real
  for (const told of held.toReversed()) await real.event?.(told)
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one", "older"]))
  opencode.idle(id)
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one", "newer"]))
})
