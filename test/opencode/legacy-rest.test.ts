/** opencode's own share service as a protocol: a real outbox, a real server that speaks as opencode's does. */
import { describe, expect, test } from "bun:test"
import { openOutbox, rpc, type Outbox, type OutboxOptions, type Stream } from "../../src/index.ts"
import { legacyRest } from "../../src/opencode/index.ts"
import { ScopedDatabase } from "../scoped-database.ts"
import { tempDir } from "../temp-dir.ts"
import { openLegacyServer, type LegacyFault } from "./legacy-server.ts"

const session = { id: "ses_1", title: "one" }
const message = { id: "msg_1", role: "user" }
const part = { id: "prt_1", messageID: "msg_1", text: "first" }

async function openBox() {
  const dir = tempDir()
  const server = await openLegacyServer()
  const outboxes: Outbox[] = []
  return {
    server,
    open(options: OutboxOptions = {}) {
      const quick = { lingerMs: 0, retryDelayMsMin: 1, retryDelayMsMax: 5 }
      const outbox = openOutbox(dir.file(), { protocols: [rpc, legacyRest], ...quick, ...options })
      outboxes.push(outbox)
      return outbox
    },
    stream: (outbox: Outbox) => outbox.stream("s", outbox.newRef(server.service), { create: { session_id: "ses_1" } }),
    row() {
      using db = new ScopedDatabase(dir.file(), { readonly: true })
      return db.query("select * from sturdy_stream").get() as Record<string, unknown>
    },
    async [Symbol.asyncDispose]() {
      for (const outbox of outboxes) await outbox.close({ flush_ms: 0 })
      await server[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const put = (stream: Stream, method: string, arg: object) => stream.record({ method, args: [arg] })

/** A box with a share that holds its session. */
async function sharedBox() {
  const box = await openBox()
  const outbox = box.open()
  const shared = box.stream(outbox)
  put(shared, "session.put", session)
  await outbox.flush()
  return Object.assign(box, { outbox, shared })
}

/** The next attempt that fails. */
const failure = (outbox: Outbox) =>
  new Promise<{ code: string }>((resolve) => {
    const stop = outbox.on("failed", (event) => {
      stop()
      resolve(event)
    })
  })

const syncs = (requests: string[]) => requests.filter((request) => request.endsWith("/sync")).length

describe("a share of opencode's own service", () => {
  test("is found out, created once, and holds the last state of each item", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.unit(() => {
      put(stream, "session.put", session)
      put(stream, "message.put", message)
      put(stream, "part.put", part)
      put(stream, "part.put", { ...part, text: "second" })
      put(stream, "turn.put", { message_id: "msg_1", state: "streaming" })
      put(stream, "session_diff.put", { diff: [{ file: "a" }] })
      put(stream, "model.put", { provider_id: "p", models: [{ id: "m" }] })
    })
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(box.server.requests).toEqual(["POST /rpc/share", "POST /api/share", "POST /api/share/shr1/sync"])
    expect(box.server.items).toEqual({
      session,
      "message/msg_1": message,
      "part/msg_1/prt_1": { ...part, text: "second" },
      session_diff: [{ file: "a" }],
      model: [{ id: "m" }],
    })
    expect(stream.status()).toMatchObject({ protocol: "rest", pending: 0, url: `${box.server.origin}/share/shr1` })
    put(stream, "session.put", { ...session, title: "two" })
    await outbox.flush()
    expect(box.server.requests.slice(3)).toEqual(["POST /api/share/shr1/sync"])
    expect(box.server.items.session).toEqual({ ...session, title: "two" })
  })

  test("goes on in the next process with the id and secret that the service made", async () => {
    await using box = await openBox()
    const first = box.open()
    put(box.stream(first), "session.put", session)
    await first.flush()
    await first.close()
    const outbox = box.open()
    put(outbox.stream("s"), "message.put", message)
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([box.server.shares.size, Object.keys(box.server.items)]).toEqual([1, ["session", "message/msg_1"]])
    expect(box.row()).toMatchObject({ remote_id: "shr1", remote_secret: box.server.shares.get("shr1")!.secret })
  })

  test("what was put and removed within one batch is never published; a removal alone asks nothing", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    outbox.unit(() => {
      put(stream, "session.put", session)
      put(stream, "message.put", message)
      put(stream, "message.remove", { id: "msg_1" })
    })
    await outbox.flush()
    put(stream, "part.remove", { id: "prt_1", message_id: "msg_1" })
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([Object.keys(box.server.items), syncs(box.server.requests)]).toEqual([["session"], 1])
  })

  test("an op without a form there blocks, instead of being lost in silence", async () => {
    await using box = await openBox()
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "notes.create", { title: "no item" })
    const { blocked } = await outbox.flush()
    expect(blocked).toMatchObject([{ reason: "unsupported" }])
    expect([stream.status().pending, stream.status().block?.message]).toEqual([
      1,
      expect.stringContaining("notes.create"),
    ])
  })
})

describe("nothing is lost", () => {
  test.each<[string, LegacyFault[]]>([
    ["by HTTP 500", [500, 500, 500]],
    ["by HTTP 503 and 429", [503, 429]],
    ["by a connection that is cut before the effect", ["cut", "cut"]],
    ["by a connection that is cut after it", ["lost", "lost"]],
  ])("%s at a sync: the same items go again, in order", async (_, faults) => {
    await using box = await sharedBox()
    const { outbox, shared: stream } = box
    box.server.faults.push(...faults)
    put(stream, "part.put", part)
    put(stream, "part.put", { ...part, text: "second" })
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(syncs(box.server.requests)).toBe(faults.length + 2)
    expect(box.server.items).toEqual({ session, "part/msg_1/prt_1": { ...part, text: "second" } })
  })

  test("by an outage before the first answer: nothing is decided, and then all is sent", async () => {
    await using box = await openBox()
    await box.server.down()
    const outbox = box.open()
    const stream = box.stream(outbox)
    const failed = failure(outbox)
    put(stream, "session.put", session)
    expect([(await failed).code, stream.status().protocol]).toEqual(["refused", undefined])
    await box.server.up()
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(box.server.items).toEqual({ session })
  })

  test("by an outage between two batches", async () => {
    await using box = await sharedBox()
    const { outbox, shared: stream } = box
    await box.server.down()
    const failed = failure(outbox)
    put(stream, "message.put", message)
    await failed
    put(stream, "part.put", part)
    await box.server.up()
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(Object.keys(box.server.items)).toEqual(["session", "message/msg_1", "part/msg_1/prt_1"])
  })

  test("by a create that fails: it is sent again, and the ops are not to blame", async () => {
    await using box = await openBox()
    box.server.faults.push(404, 500, 404, 500, 404, 500, 404, 500, 404, 500, 404, 500, 404, 500)
    const outbox = box.open()
    put(box.stream(outbox), "session.put", session)
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([box.server.shares.size, box.server.items]).toEqual([1, { session }])
  })

  test("by a page of a captive portal in the place of an answer", async () => {
    await using box = await sharedBox()
    const { outbox, shared: stream } = box
    box.server.faults.push("page")
    put(stream, "message.put", message)
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    stream.unblock()
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(Object.keys(box.server.items)).toEqual(["session", "message/msg_1"])
  })
})

test("a share whose process ended between create and sync is known to the next", async () => {
  await using box = await openBox()
  const gate = Promise.withResolvers<void>()
  const held = box.server.hold(gate.promise)
  const first = box.open()
  put(box.stream(first), "session.put", session)
  await held
  await first.close({ flush_ms: 0 })
  expect(box.row()).toMatchObject({ remote_id: "shr1", protocol: "rest" })
  gate.resolve()
  const outbox = box.open()
  expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
  expect([box.server.shares.size, box.server.items]).toEqual([1, { session }])
})

test("one request at a time, whatever is recorded meanwhile", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const gate = Promise.withResolvers<void>()
  const held = box.server.hold(gate.promise)
  for (let text = 0; text < 250; text++) put(stream, "part.put", { ...part, text })
  await held
  for (let text = 250; text < 300; text++) put(stream, "part.put", { ...part, text })
  gate.resolve()
  expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
  expect([box.server.most, box.server.items["part/msg_1/prt_1"]]).toEqual([1, { ...part, text: 299 }])
  expect(syncs(box.server.requests)).toBeGreaterThan(2)
})

describe("401, 403 and 407 say that a key is missing", () => {
  test.each([401, 403, 407])("HTTP %d at the create: blocked, nothing created", async (status) => {
    await using box = await openBox()
    box.server.faults.push(404, status)
    const outbox = box.open()
    const stream = box.stream(outbox)
    put(stream, "session.put", session)
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "scope_denied" }])
    expect([box.server.shares.size, stream.status().protocol]).toEqual([0, undefined])
  })

  test("and at a sync: blocked, the ops wait", async () => {
    await using box = await sharedBox()
    const { outbox, shared: stream } = box
    box.server.faults.push(403)
    put(stream, "message.put", message)
    expect((await outbox.flush()).blocked).toMatchObject([{ reason: "scope_denied" }])
    expect(stream.status().pending).toBe(1)
  })
})

describe("a share that opencode itself created", () => {
  async function adopted(protocol: string | undefined) {
    const box = await openBox()
    const body = JSON.stringify({ sessionID: "ses_1" })
    const made = await fetch(`${box.server.origin}/api/share`, { method: "POST", body })
    const { id, secret, url } = (await made.json()) as { id: string; secret: string; url: string }
    const outbox = box.open()
    const adopt = { ...(protocol && { protocol }), remote: { id, secret }, url }
    return {
      ...box,
      server: box.server,
      outbox,
      id,
      stream: outbox.stream("s", outbox.newRef(box.server.service), { adopt }),
    }
  }

  test.each([["rest"], [undefined]])("is written to (protocol %p), and never created again", async (protocol) => {
    await using box = await adopted(protocol)
    put(box.stream, "session.put", session)
    expect(await box.outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([box.server.shares.size, box.server.items]).toEqual([1, { session }])
    expect(box.stream.status().protocol).toBe("rest")
  })

  test("is removed", async () => {
    await using box = await adopted("rest")
    box.stream.remove()
    expect(await box.outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([box.server.shares.get(box.id)!.removed, box.server.requests.at(-1)]).toEqual([
      true,
      `DELETE /api/share/${box.id}`,
    ])
  })

  test.each([
    ["404", 404],
    ["410", 410],
  ])("is gone (%s): blocked, and created by nobody", async (_, status) => {
    await using box = await adopted("rest")
    box.server.faults.push(status)
    put(box.stream, "session.put", session)
    expect((await box.outbox.flush()).blocked).toMatchObject([{ reason: "share_removed" }])
    expect(box.server.shares.size).toBe(1)
  })

  test("without a protocol, and its service says 404 to everything: nothing is decided of the share", async () => {
    await using box = await adopted(undefined)
    box.server.faults.push(404, 404)
    box.stream.remove()
    expect((await box.outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    expect(box.server.shares.get(box.id)!.removed).toBe(false)
    box.stream.unblock()
    expect(await box.outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect(box.server.shares.get(box.id)!.removed).toBe(true)
  })
})

describe("a removal", () => {
  test("that a gateway before the service answers with its own 404 is not done, nor is the share given up", async () => {
    await using box = await sharedBox()
    box.server.faults.push("nowhere", "nowhere")
    put(box.shared, "session.put", { ...session, title: "Later" })
    expect((await box.outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    box.shared.remove()
    expect((await box.outbox.flush()).blocked).toMatchObject([{ reason: "unsupported" }])
    box.shared.unblock()
    expect(await box.outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([...box.server.shares.values()].map(({ removed }) => removed)).toEqual([true])
  })

  test.each<[string, LegacyFault[]]>([
    ["at once", []],
    ["after HTTP 500", [500, 500]],
    ["whose answer was lost", ["lost"]],
    ["of a share that is gone", [410]],
  ])("%s: closed when the service has said so", async (_, faults) => {
    await using box = await sharedBox()
    box.server.faults.push(...faults)
    box.shared.remove()
    expect(await box.outbox.flush()).toEqual({ settled: true, blocked: [] })
    const asked = box.server.requests.filter((request) => request.startsWith("DELETE")).length
    expect(asked).toBe(faults[0] === 410 ? 1 : faults.length + 1)
    expect(box.row().time_closed).not.toBeNull()
  })

  test("of a stream of which nothing was ever sent: closed without asking that service", async () => {
    await using box = await openBox()
    const outbox = box.open()
    outbox.pause()
    const stream = box.stream(outbox)
    put(stream, "session.put", session)
    stream.remove()
    outbox.resume()
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([box.server.requests, box.server.shares.size]).toEqual([["POST /rpc/share"], 0])
  })

  test("of a stream that was tried in vain before: that service is spoken there, and nothing stays", async () => {
    await using box = await openBox()
    await box.server.down()
    const outbox = box.open()
    const stream = box.stream(outbox)
    const failed = failure(outbox)
    put(stream, "session.put", session)
    await failed
    stream.remove()
    await box.server.up()
    expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
    expect([...box.server.shares.values()].every(({ removed, items }) => removed && items.size === 0)).toBe(true)
  })
})
