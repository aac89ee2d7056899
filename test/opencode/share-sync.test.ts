/** shareSync in a host: what it shows of the recordings of the real opencode, live, in mid-session, offline, and again. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/index.ts"
import { migrations } from "../../src/store/migration.gen.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { heldState, linkedBox, openHost, shownState } from "./linked-host.ts"
import { readEvents, readFinal, type RecordingName, recordingNames } from "./reference.ts"

async function recording(name: RecordingName) {
  const events = await readEvents(name)
  const created = events.filter(({ type }) => type === "session.created")
  const sessions = created.map(({ properties }) => String(properties.sessionID))
  return { events, sessions, final: await readFinal(name) }
}

describe("a session that is shared from its first event on", () => {
  for (const name of recordingNames)
    test(`${name}: its share shows opencode's own final state`, async () => {
      await using box = await linkedBox()
      const { events, sessions, final } = await recording(name)
      box.init()
      for (const event of events) {
        box.play(event)
        if (event.type === "session.created") await box.sync.create(String(event.properties.sessionID))
      }
      await box.sync.outbox.flush()
      for (const id of sessions) expect(await box.shown(id)).toEqual(final[id] ?? 410)
      expect(box.notices.filter(({ level }) => level !== "info")).toEqual([])
    })

  test("its parts are opencode's, byte for byte", async () => {
    await using box = await linkedBox()
    const { events, sessions } = await recording("tool-calls")
    box.init()
    box.play(events[0]!)
    const { id } = await box.sync.create(sessions[0]!)
    box.play(...events.slice(1))
    await box.sync.outbox.flush()
    const held = box.store.messages(sessions[0]!).flatMap(({ parts }) => parts)
    const text = await (await fetch(`${box.service.url}/api/share/${id}/data`)).text()
    const missing = held.filter((item) => !text.includes(`"data":${JSON.stringify(item)}}`))
    expect([held.length > 30, missing]).toEqual([true, []])
  })
})

describe("a session that is shared in mid-session", () => {
  test.each([10, 60, 120, 150])("after %d events of a recording shows everything all the same", async (cut) => {
    await using box = await linkedBox()
    const { events, sessions, final } = await recording("share-unshare")
    box.init()
    box.play(...events.slice(0, cut))
    await box.sync.create(sessions[0]!)
    box.play(...events.slice(cut))
    await box.until(async () => Bun.deepEquals(await box.shown(sessions[0]!), final[sessions[0]!]))
  })

  test("when all of it is over is told from what the host holds alone", async () => {
    await using box = await linkedBox()
    const { events, sessions, final } = await recording("fork-and-revert")
    box.play(...events)
    box.init()
    const open = sessions.filter((id) => final[id])
    for (const id of open) await box.sync.create(id)
    for (const id of open) await box.until(async () => Bun.deepEquals(await box.shown(id), final[id]))
  })
})

describe("create", () => {
  test("answers id, secret and URL, and the same again", async () => {
    await using box = await linkedBox()
    const { events, sessions } = await recording("short-text")
    box.play(...events)
    const info = await box.sync.create(sessions[0]!)
    expect(info).toEqual({
      id: expect.stringMatching(/^[\w-]{22}$/),
      secret: expect.stringMatching(/^[\w-]{43}$/),
      url: `${box.service.url}/share/${info.id}`,
    })
    await box.sync.outbox.flush()
    expect(await box.sync.create(sessions[0]!)).toEqual(info)
  })

  test("offline answers the URL that the service confirms when it is there", async () => {
    await using box = await linkedBox()
    const { events, sessions, final } = await recording("short-text")
    await box.service.down()
    box.init()
    box.play(events[0]!)
    const info = await box.sync.create(sessions[0]!)
    box.play(...events.slice(1))
    await box.service.up()
    await box.sync.outbox.flush()
    expect(box.sync.outbox.stream(sessions[0]!).status().url).toBe(info.url)
    expect(await box.shown(sessions[0]!)).toEqual(final[sessions[0]!]!)
  })

  test("takes no id that is none of opencode's: its stream would be another session's", async () => {
    await using box = await linkedBox()
    for (const id of ["ses_1/2", "", "a b", 5, undefined])
      expect((await rejectionOf(box.sync.create(id as string))).code).toBe("invalid_argument")
    expect(box.sync.outbox.streams()).toEqual([])
  })
})

test("a share that somebody else removed is followed by another one when the session is shared again", async () => {
  await using box = await linkedBox()
  const { events, sessions, final } = await recording("short-text")
  box.init()
  box.play(events[0]!)
  const first = await box.sync.create(sessions[0]!)
  await box.sync.outbox.flush()
  await using other = openOutbox(box.dir.file("other.db"))
  other.stream("theirs", box.sync.outbox.stream(sessions[0]!).ref()).remove()
  await other.flush()
  box.play(...events.slice(1))
  await box.until(() => box.sync.outbox.stream(sessions[0]!).status().block?.reason === "share_removed")
  const second = await box.sync.create(sessions[0]!)
  expect(second.id).not.toBe(first.id)
  await box.until(async () => Bun.deepEquals(await box.shown(sessions[0]!), final[sessions[0]!]))
})

describe("remove", () => {
  test("offline holds when the service is there again, and nothing of later is shared", async () => {
    await using box = await linkedBox()
    const { events, sessions } = await recording("share-unshare")
    box.init()
    box.play(...events.slice(0, 70))
    const { id } = await box.sync.create(sessions[0]!)
    await box.sync.outbox.flush()
    expect(await box.service.list(id)).toBeArray()
    await box.service.down()
    await box.sync.remove(sessions[0]!)
    box.play(...events.slice(70))
    await box.service.up()
    await box.sync.outbox.flush()
    expect(await box.service.list(id)).toBe(410)
    expect(box.sync.outbox.stream(sessions[0]!).status()).toMatchObject({ removed: true, pending: 0 })
  })

  test("and create again gives another share, with everything", async () => {
    await using box = await linkedBox()
    const { events, sessions, final } = await recording("share-unshare")
    box.init()
    box.play(...events)
    const first = await box.sync.create(sessions[0]!)
    await box.sync.outbox.flush()
    await box.sync.remove(sessions[0]!)
    const second = await box.sync.create(sessions[0]!)
    await box.until(async () => Bun.deepEquals(await box.shown(sessions[0]!), final[sessions[0]!]))
    await box.sync.outbox.flush()
    expect(second.id).not.toBe(first.id)
    expect(await box.service.list(first.id)).toBe(410)
  })

  test("of a session that is not shared is no fault", async () => {
    await using box = await linkedBox()
    await box.sync.remove("ses_1")
    await box.sync.remove("no/session")
    expect(box.sync.outbox.streams()).toEqual([])
  })
})

describe("the next process", () => {
  test("goes on where the last one stopped, with what happened in between", async () => {
    await using box = await linkedBox()
    const { events, sessions, final } = await recording("kill9-midstream")
    box.init()
    box.play(events[0]!)
    await box.sync.create(sessions[0]!)
    box.play(...events.slice(1, 100))
    await box.sync.outbox.close({ flush_ms: 0 })
    // Nobody hears these.
    for (const event of events.slice(100, 180)) box.store.commit(event)
    const next = openHost(box.database, box.service.url)
    next.init()
    next.play(...events.slice(180))
    const { share_id } = next.sync.outbox.stream(sessions[0]!).status()
    await next.until(async () => {
      const items = await box.service.list(share_id)
      return typeof items !== "number" && Bun.deepEquals(shownState(items), final[sessions[0]!])
    })
    expect(heldState(box.store, sessions[0]!)).toEqual(final[sessions[0]!]!)
    await next.sync.outbox.close({ flush_ms: 0 })
  })
})

describe("our migrations in the host's table", () => {
  const noted = (box: { database: Database }) =>
    box.database.query<{ id: string; time_completed: number }, []>("select * from migration order by id").all()

  test("are noted once each, with the time", async () => {
    await using box = await linkedBox()
    const before = noted(box)
    expect(before.map(({ id }) => id)).toEqual(migrations.map(({ name }) => `sturdy_${name}`))
    expect(before.every(({ time_completed }) => Math.abs(time_completed - Date.now()) < 60_000)).toBe(true)
    await box.sync.outbox.close({ flush_ms: 0 })
    const again = openHost(box.database, box.service.url)
    expect(noted(box)).toEqual(before)
    await again.sync.outbox.close({ flush_ms: 0 })
  })

  test("leave what the host noted there alone", async () => {
    await using box = await linkedBox()
    box.database.run("insert into migration values ('20260101000000_own', 1)")
    await box.sync.outbox.close({ flush_ms: 0 })
    const again = openHost(box.database, box.service.url)
    expect(noted(box)[0]).toEqual({ id: "20260101000000_own", time_completed: 1 })
    await again.sync.outbox.close({ flush_ms: 0 })
  })

  test("are not made if the table is another one, or not there", async () => {
    await using box = await linkedBox()
    const database = new Database(":memory:")
    database.run("create table other (id text, at integer)")
    for (const migrationTable of ["other", "none", 'a"b', ""])
      expect(errorOf(() => openHost(database, box.service.url, { outbox: { database, migrationTable } })).code).toBe(
        "invalid_argument",
      )
    const tables = database
      .query<{ name: string }, []>("select name from sqlite_schema where name like 'sturdy%'")
      .all()
    expect(tables).toEqual([])
    database.close()
  })
})
