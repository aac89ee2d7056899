/** shareSync under a bus, a host and options that are not as they should be: it never throws into the bus, and goes on. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { openOutbox } from "../../src/index.ts"
import { shareSync, type ShareSyncLink } from "../../src/opencode/drop-in.ts"
import type { BusEvent } from "../../src/opencode/event.ts"
import type { SharedOp } from "../../src/opencode/redact.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { busEvent, idleEvent, messageEvent, partEvent, sessionEvent } from "./bus-events.ts"
import { heldState, linkedBox, openHost } from "./linked-host.ts"

const heard = ["created", "updated", "deleted", "diff", "idle"].map((verb) => `session.${verb}`)
const types = [...heard, "message.updated", "message.removed", "message.part.updated", "message.part.removed"]
const type = fc.constantFrom(...types, "message.part.delta", "session.status")

/** Anything in JSON, or nearly an event: with a type that is heard, and ids of the shared session in likely places. */
function anyEvent(): fc.Arbitrary<unknown> {
  const value = fc.oneof(fc.constantFrom("ses_1", "msg_1", "prt_1", "text"), fc.jsonValue({ maxDepth: 2 }))
  const inner = fc.dictionary(
    fc.constantFrom("id", "sessionID", "messageID", "role", "time", "model", "text", "error", "__proto__", "toJSON"),
    value,
  )
  const named = fc.dictionary(
    fc.constantFrom("sessionID", "info", "part", "diff", "messageID", "partID", "field", "delta", "error"),
    fc.oneof(value, inner, fc.array(inner)),
  )
  const properties = fc.oneof(
    fc.jsonValue(),
    named.map((other) => ({ ...other, sessionID: "ses_1" })),
  )
  const id = fc.oneof(fc.constantFrom("evt_1", "evt_2"), fc.jsonValue())
  return fc.oneof(fc.jsonValue(), fc.record({ id, type, properties }, { requiredKeys: ["type"] }))
}

describe("the bus", () => {
  test("never sees an error, whatever it tells, and what comes then is shared", async () => {
    await using box = await linkedBox({ children: true, liveTextMs: 100 })
    box.init()
    box.play(sessionEvent("ses_1"))
    await box.sync.create("ses_1")
    fc.assert(
      fc.property(anyEvent(), (event) => {
        // A removal is a removal, also one that is made up.
        fc.pre((event as BusEvent | null)?.type !== "session.deleted")
        box.publish(event as BusEvent)
      }),
      { numRuns: 2_000 },
    )
    for (const event of [undefined, null, 5, "event", [], {}]) box.publish(event as unknown as BusEvent)
    box.play(sessionEvent("ses_1", { title: "in the end" }, "session.updated"), messageEvent("ses_1", "msg_9"))
    await box.until(async () => Bun.deepEquals(await box.shown("ses_1"), heldState(box.store, "ses_1")))
    expect(box.sync.outbox.stream("ses_1").status().block).toBeUndefined()
  })

  test("never sees an error of objects that are no JSON", async () => {
    await using box = await linkedBox()
    box.init()
    box.play(sessionEvent("ses_1"))
    await box.sync.create("ses_1")
    const ring: Record<string, unknown> = { id: "ses_1" }
    ring.ring = ring
    const odd: unknown[] = [{ id: "ses_1", big: 1n }, ring, { id: "ses_1", toJSON: () => undefined }]
    for (const info of odd) box.publish(busEvent("session.updated", { sessionID: "ses_1", info }))
    box.play(sessionEvent("ses_1", { title: "good" }, "session.updated"))
    await box.sync.outbox.flush()
    expect(await box.shown("ses_1")).toEqual({ session: { id: "ses_1", title: "good" } })
    expect(box.notices.map(({ message }) => message)).toContainEqual(expect.stringContaining("session.put of ses_1"))
  })

  test("goes on after the outbox was closed", async () => {
    await using box = await linkedBox()
    box.init()
    box.play(sessionEvent("ses_1"))
    await box.sync.create("ses_1")
    await box.sync.outbox.close({ flush_ms: 0 })
    box.play(messageEvent("ses_1", "msg_1"), idleEvent("ses_1"))
    expect((await rejectionOf(box.sync.create("ses_1"))).code).toBe("closed")
  })
})

describe("a host", () => {
  test("whose sessions.get rejects is asked again, and what it has then is shared", async () => {
    let fails = true
    await using box = await linkedBox()
    const asked = Promise.withResolvers<void>()
    const sessions = {
      get: async (id: string) => {
        asked.resolve()
        if (fails) throw new Error("not now")
        return box.store.get(id)
      },
      messages: (id: string) => box.store.messages(id),
    }
    const host = openHost(new Database(box.dir.file("other.db")), box.service.url, {
      outbox: box.dir.file("outbox.db"),
      sessions,
    })
    box.play(sessionEvent("ses_1"), messageEvent("ses_1", "msg_1"), partEvent("ses_1", "msg_1", "prt_1", "text"))
    host.init()
    const { id } = await host.sync.create("ses_1")
    await asked.promise
    fails = false
    host.publish(idleEvent("ses_1"))
    await host.until(async () => ((await box.service.list(id)) as unknown[]).length === 3)
    expect(host.notices).toContainEqual({ level: "error", message: "a catch-up failed and is tried again: not now" })
    await host.sync.outbox.close({ flush_ms: 0 })
  })

  test.each([
    ["get", () => "text"],
    ["get", () => []],
    ["messages", () => undefined],
    ["messages", () => [null]],
    ["messages", () => [{ info: {}, parts: "none" }]],
    ["messages", () => [{ info: { id: 5 }, parts: [] }]],
  ])("whose sessions.%s answers nonsense (%#) is asked again, and live events are shared", async (name, answer) => {
    await using box = await linkedBox()
    const right = { get: () => ({ id: "ses_1" }), messages: () => [] }
    const sessions = { ...right, [name]: answer } as unknown as ShareSyncLink["sessions"]
    const host = openHost(new Database(":memory:"), box.service.url, { outbox: box.dir.file("outbox.db"), sessions })
    host.init()
    const { id } = await host.sync.create("ses_1")
    expect(await rejectionAny(host.sync.resync(host.sync.outbox.stream("ses_1")))).toBeInstanceOf(Error)
    host.publish(messageEvent("ses_1", "msg_1"))
    await host.sync.outbox.flush()
    const types = ((await box.service.list(id)) as { type: string }[]).map(({ type }) => type)
    expect(types).toContain("message")
    await host.sync.outbox.close({ flush_ms: 0 })
  })

  test("whose notify throws, or rejects, is shared all the same", async () => {
    for (const notify of [() => raise(), async () => raise()]) {
      await using box = await linkedBox({ notify })
      box.init()
      box.play(sessionEvent("ses_1"))
      await box.sync.create("ses_1")
      box.publish(busEvent("session.updated", { sessionID: "ses_1" }))
      box.store.commit(messageEvent("ses_1", "msg_1"))
      box.publish(idleEvent("ses_1"))
      await box.until(async () => Bun.deepEquals(await box.shown("ses_1"), heldState(box.store, "ses_1")))
    }
  })

  test("that opened the outbox itself is resynced by its own hook, which rejects as long as it cannot", async () => {
    await using box = await linkedBox()
    let fails = true
    const outbox = openOutbox(box.dir.file("outbox.db"))
    const get = () => (fails ? raise() : { id: "ses_1" })
    const host = openHost(box.database, box.service.url, { outbox, sessions: { get, messages: () => [] } })
    const { id } = await host.sync.create("ses_1")
    const stream = outbox.stream("ses_1")
    expect(await rejectionAny(host.sync.resync(stream))).toBeInstanceOf(Error)
    fails = false
    await host.sync.resync(stream)
    await outbox.flush()
    expect(await box.service.list(id)).toEqual([{ type: "session", data: { id: "ses_1" } }])
    await outbox.close({ flush_ms: 0 })
  })
})

describe("a session that the host deleted", () => {
  test.each([
    ["", {}],
    [", also of one whose info is not shared,", { redact: withoutInfo }],
  ])("while nobody heard%s has its share removed when somebody looks", async (_, linking) => {
    await using box = await linkedBox(linking)
    box.init()
    box.play(sessionEvent("ses_1"))
    const { id } = await box.sync.create("ses_1")
    box.play(messageEvent("ses_1", "msg_1"))
    await box.sync.outbox.flush()
    box.store.commit(busEvent("session.deleted", { sessionID: "ses_1" }))
    box.publish(idleEvent("ses_1"))
    await box.until(() => box.sync.outbox.stream("ses_1").status().removed)
    await box.sync.outbox.flush()
    expect(await box.service.list(id)).toBe(410)
  })

  test("is none that it has not committed yet, and none of another use of the outbox", async () => {
    await using box = await linkedBox()
    const other = box.sync.outbox.newRef(`${box.service.url}/rpc/share`)
    box.sync.outbox.stream("notes", other, { create: { session_id: "notes" } })
    await box.sync.create("ses_1")
    box.init()
    for (const name of ["notes", "ses_1"])
      expect(await Promise.allSettled([box.sync.resync(box.sync.outbox.stream(name))])).toMatchObject([
        { status: "rejected" },
      ])
    expect(box.sync.outbox.streams().map(({ name }) => [name, box.sync.outbox.stream(name).status().removed])).toEqual([
      ["notes", false],
      ["ses_1", false],
    ])
  })
})

test("options that are wrong are refused by name, and nothing is opened", () => {
  const database = new Database(":memory:")
  const right = { outbox: { database }, service: "http://127.0.0.1:9", sessions: { get() {}, messages: () => [] } }
  const wrong: Record<string, unknown>[] = [
    { service: "ftp://x" },
    { service: undefined },
    { service: "http://user:secret_word@x" },
    { outbox: undefined },
    { outbox: null },
    { outbox: { database: {} } },
    { sessions: undefined },
    { sessions: { get: 1, messages: () => [] } },
    { sessions: { get() {} } },
    { sessions: { ...right.sessions, diff: [] } },
    { sessions: { ...right.sessions, children: [] } },
    { redact: "redact.ts" },
    { model: {} },
    { notify: true },
    { headers: {} },
    { protocols: [] },
    { children: "yes" },
    { liveTextMs: 5 },
    { liveTextMs: Number.NaN },
    { liveTextMs: "100" },
    { liveTextMS: 100 },
  ]
  for (const change of wrong) {
    const error = errorOf(() => shareSync({ ...right, ...change } as unknown as ShareSyncLink))
    expect([change, error.code]).toEqual([change, "invalid_argument"])
    expect(error.message).toContain(Object.keys(change)[0] === "outbox" ? "" : Object.keys(change)[0]!)
    expect(error.message).not.toContain("secret_word")
  }
  for (const none of [undefined, null, "options"])
    expect(errorOf(() => shareSync(none as unknown as ShareSyncLink)).code).toBe("invalid_argument")
  expect(database.query("select count(*) as n from sqlite_schema").get()).toEqual({ n: 0 })
  database.close()
})

function withoutInfo({ method, value }: SharedOp): Record<string, unknown> | undefined {
  return method === "session.put" ? undefined : value
}

function raise(): never {
  throw new Error("the host's own")
}

async function rejectionAny(promise: Promise<unknown>): Promise<unknown> {
  const [outcome] = await Promise.allSettled([promise])
  return outcome.status === "rejected" ? outcome.reason : undefined
}
