/** A host that is killed after it committed a change and before it announced it: the next one finds it. */
import { expect, test } from "bun:test"
import { tempDir } from "../temp-dir.ts"
import { heldState, hostDatabase, openHost, shownState, switchedService } from "./linked-host.ts"
import { readEvents, readFinal, type RecordingName } from "./reference.ts"

/** Place of the nth event of the type. */
async function placeOf(name: RecordingName, type: string, nth: number): Promise<number> {
  const places = (await readEvents(name)).flatMap((event, place) => (event.type === type ? [place] : []))
  return places.at(nth)!
}

async function killedBox(name: RecordingName, type: string, nth: number, isOnline = true) {
  const dir = tempDir()
  const service = await switchedService(dir.file("share.db"))
  const last = await placeOf(name, type, nth)
  if (!isOnline) await service.down()
  const fixture = `${import.meta.dir}/killed-host-fixture.ts`
  const command = [process.execPath, fixture, dir.file("host.db"), service.url, name, String(last)]
  const child = Bun.spawn(command, { stderr: "pipe" })
  const said = await new Response(child.stderr).text()
  await child.exited
  expect([child.signalCode, said]).toEqual(["SIGKILL", ""])
  if (!isOnline) await service.up()
  const database = hostDatabase(dir.file("host.db"))
  const host = openHost(database, service.url)
  const shown = async (session_id: string) => {
    const items = await service.list(host.sync.outbox.stream(session_id).status().share_id)
    return typeof items === "number" ? items : shownState(items)
  }
  return {
    host,
    service,
    shown,
    rest: (await readEvents(name)).slice(last + 1),
    async [Symbol.asyncDispose]() {
      await host.sync.outbox.close({ flush_ms: 0 })
      await service[Symbol.asyncDispose]()
      database.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

test.each([
  ["session.updated", 2],
  ["message.updated", 7],
  ["message.part.updated", 11],
  ["message.part.updated", -1],
  ["message.updated", -1],
])("killed after the commit of %s (%d), its share shows what was committed", async (type, nth) => {
  await using box = await killedBox("share-unshare", type, nth)
  const [session_id] = Object.keys(await readFinal("share-unshare"))
  box.host.init()
  await box.host.until(async () => Bun.deepEquals(await box.shown(session_id!), heldState(box.host.store, session_id!)))
  box.host.play(...box.rest)
  await box.host.until(async () => Bun.deepEquals(await box.shown(session_id!), heldState(box.host.store, session_id!)))
  expect(heldState(box.host.store, session_id!)).toEqual((await readFinal("share-unshare"))[session_id!]!)
})

test("killed after a message was removed, its share does not show the message for ever", async () => {
  await using box = await killedBox("fork-and-revert", "message.removed", 0)
  box.host.init()
  const [stream] = box.host.sync.outbox.streams()
  const removed = box.host.store.database.query<{ n: number }, []>("select count(*) as n from message").get()!.n
  expect(removed).toBeGreaterThan(0)
  await box.host.until(async () =>
    Bun.deepEquals(await box.shown(stream!.name), heldState(box.host.store, stream!.name)),
  )
})

test("killed after a session was deleted, its share is removed", async () => {
  await using box = await killedBox("fork-and-revert", "session.deleted", 0)
  const deleted = box.host.sync.outbox.streams().find(({ name }) => !box.host.store.get(name))!
  expect(deleted.status().removed).toBe(false)
  box.host.init()
  await box.host.until(() => deleted.status().removed)
  await box.host.sync.outbox.flush()
  expect(await box.shown(deleted.name)).toBe(410)
})

test("killed in mid-turn, offline, it ends the turn that nobody will end, and shows everything once online", async () => {
  await using box = await killedBox("kill9-midstream", "message.part.updated", 7, false)
  const [session_id] = Object.keys(await readFinal("kill9-midstream"))
  box.host.init()
  await box.host.until(async () => Bun.deepEquals(await box.shown(session_id!), heldState(box.host.store, session_id!)))
  await box.host.sync.outbox.flush()
  const unfinished = box.host.store
    .messages(session_id!)
    .map(({ info }) => info as { id: string; role: string; time: { completed?: number } })
    .filter(({ role, time }) => role === "assistant" && time.completed === undefined)
  expect(unfinished).toHaveLength(1)
  expect(box.service.turns()[unfinished[0]!.id]).toBe("interrupted")
})
