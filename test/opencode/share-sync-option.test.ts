/** What a host may choose: what leaves (redact, model), how often (live text), and for whom (children). */
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/index.ts"
import type { Redact, SharedOp } from "../../src/opencode/redact.ts"
import { Notices } from "../../src/opencode/notice.ts"
import { ShareSync } from "../../src/opencode/share-sync.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { tempDir } from "../temp-dir.ts"
import { busEvent, deltaEvent, idleEvent, messageEvent, partEvent, sessionEvent } from "./bus-events.ts"
import { heldState, type Linking, linkedBox, type ShownItem } from "./linked-host.ts"

/** A host with one session that is shared, and nothing else yet. */
async function sharedBox(linking: Linking = {}) {
  const box = await linkedBox(linking)
  box.init()
  box.play(sessionEvent("ses_1"))
  const { id } = await box.sync.create("ses_1")
  return { ...box, id, stream: () => box.sync.outbox.stream("ses_1") }
}

describe("redact", () => {
  const secret = "hunter2"
  const without: Redact = ({ method, value }) => {
    if (method === "part.put" && value.type === "reasoning") return
    if (typeof value.text === "string") value.text = value.text.replaceAll(secret, "…")
    return value
  }
  const events = [
    messageEvent("ses_1", "msg_1"),
    partEvent("ses_1", "msg_1", "prt_1", `the word is ${secret}`),
    partEvent("ses_1", "msg_1", "prt_2", secret, { type: "reasoning" }),
  ]
  const left = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", type: "text", text: "the word is …" }

  test("rewrites and drops what is heard, and the host's own objects stay as they are", async () => {
    await using box = await sharedBox({ redact: without })
    box.play(...events)
    await box.sync.outbox.flush()
    const shown = (await box.shown("ses_1")) as Record<string, unknown>
    expect([Object.keys(shown).length, shown["part msg_1 prt_1"]]).toEqual([3, left])
    expect(box.service.received().join()).not.toContain(secret)
    expect(events[1]!.properties.part).toMatchObject({ text: `the word is ${secret}` })
  })

  test("does the same to what is caught up, and both agree: nothing is recorded twice", async () => {
    await using box = await linkedBox({ redact: without })
    box.play(sessionEvent("ses_1"), ...events)
    await box.sync.create("ses_1")
    const stream = box.sync.outbox.stream("ses_1")
    await box.sync.resync(stream)
    const { recorded } = stream.status()
    await box.sync.outbox.flush()
    box.init()
    events.forEach((event) => box.publish(event))
    await box.sync.outbox.flush()
    expect(await box.shown("ses_1")).toHaveProperty(["part msg_1 prt_1"], left)
    expect([recorded, stream.status().recorded]).toEqual([3, 3])
    expect(box.service.received().join()).not.toContain(secret)
  })

  test.each([
    ["throws", () => raise(secret)],
    ["is async", async () => raise(secret)],
    ["returns a text", () => secret],
  ])("that %s shares nothing of that value, live or caught up, and everything else", async (_, answer) => {
    const redact = (op: SharedOp) => (op.value.id === "prt_2" ? answer() : op.value) as Record<string, unknown>
    await using box = await sharedBox({ redact })
    await box.sync.resync(box.stream())
    box.play(...events, partEvent("ses_1", "msg_1", "prt_3", "live"))
    // Not announced: the catch-up meets the value before them.
    box.store.commit(messageEvent("ses_1", "msg_2"))
    box.store.commit(partEvent("ses_1", "msg_2", "prt_4", "caught up"))
    await box.sync.resync(box.stream())
    await box.sync.outbox.flush()
    const { "part msg_1 prt_2": _hidden, ...expected } = heldState(box.store, "ses_1")
    expect(await box.shown("ses_1")).toEqual(expected)
    expect(box.notices).toEqual([
      { level: "error", message: expect.stringContaining("part.put of ses_1 is not shared") },
    ])
    expect(JSON.stringify(box.notices)).not.toContain(secret)
  })

  test("is not asked of removals and of how a turn stands", async () => {
    const asked = new Set<string>()
    const redact: Redact = ({ method, value }) => {
      asked.add(method)
      return value
    }
    await using box = await sharedBox({ redact })
    box.play(messageEvent("ses_1", "msg_1", { role: "assistant" }), partEvent("ses_1", "msg_1", "prt_1", "text"))
    box.play(busEvent("session.diff", { sessionID: "ses_1", diff: [{ file: "a" }] }))
    box.play(busEvent("message.part.removed", { sessionID: "ses_1", messageID: "msg_1", partID: "prt_1" }))
    box.play(busEvent("message.removed", { sessionID: "ses_1", messageID: "msg_1" }))
    expect([...asked].toSorted()).toEqual(["message.put", "part.put", "session_diff.put"])
  })
})

describe("a model", () => {
  const known = {
    id: "big",
    name: "Big",
    options: { apiKey: "key_of_options" },
    headers: { authorization: "key_of_headers" },
    variants: { high: { apiKey: "key_of_variants" } },
  }
  const asks = messageEvent("ses_1", "msg_1", { model: { providerID: "here", modelID: "big" } })
  async function models(box: { id: string; service: { list(id: string): Promise<ShownItem[] | number> } }) {
    const items = await box.service.list(box.id)
    return typeof items === "number" ? [] : items.filter(({ type }) => type === "model")
  }

  test("that a message names is told, without its options and headers, and asked for once", async () => {
    const asked: string[] = []
    const model = (provider_id: string, model_id: string) => {
      asked.push(`${provider_id}/${model_id}`)
      return known
    }
    await using box = await sharedBox({ model })
    await box.sync.resync(box.stream())
    box.play(asks)
    await box.until(async () => (await models(box)).length > 0)
    expect(await models(box)).toEqual([{ type: "model", data: [{ id: "big", name: "Big" }] as never }])
    box.play({ ...asks, id: "evt_again" }, idleEvent("ses_1"))
    await box.sync.outbox.flush()
    expect(asked).toEqual(["here/big"])
    await box.sync.outbox.close({ flush_ms: 0 })
    for (const file of ["host.db", "share.db"]) expect(await Bun.file(box.dir.file(file)).text()).not.toMatch(/key_of_/)
    expect(box.service.received().join()).not.toMatch(/key_of_/)
  })

  test("is none where the host says nothing of models, or does not know it", async () => {
    for (const linking of [{}, { model: () => undefined }]) {
      await using box = await sharedBox(linking)
      box.play(asks)
      await box.sync.resync(box.stream())
      await box.sync.outbox.flush()
      expect(await models(box)).toEqual([])
    }
  })

  test("whose lookup fails holds up nothing of the session", async () => {
    await using box = await sharedBox({ model: () => raise("no models today") })
    box.play(asks)
    box.store.commit(messageEvent("ses_1", "msg_2"))
    box.publish(idleEvent("ses_1"))
    await box.until(async () => Bun.deepEquals(await box.shown("ses_1"), heldState(box.store, "ses_1")))
  })
})

describe("text that is being written", () => {
  const begin = partEvent("ses_1", "msg_1", "prt_1", "")
  const words = (count: number) =>
    Array.from({ length: count }, (_, at) => deltaEvent("ses_1", "msg_1", "prt_1", `${at} `))

  test("is not told by default: its part is, when it begins and ends", async () => {
    await using box = await sharedBox()
    await box.sync.resync(box.stream())
    box.play(messageEvent("ses_1", "msg_1"), begin)
    const { recorded } = box.stream().status()
    box.play(...words(500))
    expect(box.stream().status().recorded).toBe(recorded)
  })

  async function clockBox(redact?: Redact) {
    const dir = tempDir()
    const clock = new ManualClock()
    const outbox = openOutbox(dir.file())
    outbox.pause()
    const stream = outbox.stream("ses_1", outbox.newRef("http://127.0.0.1:9/rpc/share"))
    const source = {
      isAuthority: true,
      info: async () => undefined,
      messages: async () => [],
      diff: async () => undefined,
      children: async () => [],
      model: async () => undefined,
    }
    const [notices, log] = [new Notices(() => {}), () => undefined]
    const sync = new ShareSync({ outbox, clock, notices, source, log, liveTextMs: 1_000, redact })
    const hear = (...events: Parameters<ShareSync["hear"]>[0][]) => events.forEach((event) => sync.hear(event))
    hear(sessionEvent("ses_1"), messageEvent("ses_1", "msg_1"), begin)
    const close = async () => {
      await outbox.close({ flush_ms: 0 })
      await dir[Symbol.asyncDispose]()
    }
    return { clock, stream, hear, file: dir.file(), [Symbol.asyncDispose]: close }
  }

  test("is told at most once per interval, however fast it comes", async () => {
    await using box = await clockBox()
    const before = box.stream.status().recorded
    for (const word of words(3_000)) {
      box.clock.turn(3)
      box.hear(word)
    }
    expect(box.stream.status().recorded - before).toBe(8)
  })

  test("is one pending op, the newest, which the whole part replaces", async () => {
    await using box = await clockBox()
    const before = box.stream.status().pending
    for (const word of words(20)) {
      box.clock.turn(500)
      box.hear(word)
    }
    expect(box.stream.status().pending).toBe(before)
    box.hear(partEvent("ses_1", "msg_1", "prt_1", "all of it", { time: { end: 2 } }))
    expect(box.stream.status().pending).toBe(before)
    box.clock.turn(5_000)
    const { recorded } = box.stream.status()
    box.hear(...words(20))
    expect(box.stream.status().recorded).toBe(recorded)
  })

  test("is redacted as the whole part is", async () => {
    const seen: unknown[] = []
    await using box = await clockBox(({ method, value }) => {
      if (method === "part.put") seen.push(value.text)
      return value
    })
    for (const word of words(3)) {
      box.clock.turn(1_000)
      box.hear(word)
    }
    expect(seen).toEqual(["", "0 ", "0 1 ", "0 1 2 "])
  })
})

describe("children", () => {
  const child = sessionEvent("ses_2", { parentID: "ses_1" })
  const shared = (box: Awaited<ReturnType<typeof sharedBox>>) =>
    box.sync.outbox.streams().flatMap((stream) => (stream.status().removed ? [] : [stream.name]))

  test("have no share by default", async () => {
    await using box = await sharedBox()
    box.play(child)
    await box.sync.resync(box.stream())
    expect(shared(box)).toEqual(["ses_1"])
  })

  test("are shared from their first event on, and what they hold is shown", async () => {
    await using box = await sharedBox({ children: true })
    box.play(child, messageEvent("ses_2", "msg_2"), partEvent("ses_2", "msg_2", "prt_2", "of the child"))
    expect(shared(box)).toEqual(["ses_1", "ses_2"])
    await box.sync.outbox.flush()
    expect(await box.shown("ses_2")).toEqual(heldState(box.store, "ses_2"))
  })

  test("that began unheard, and theirs, are shared by the next look", async () => {
    await using box = await sharedBox({ children: true })
    for (const event of [child, sessionEvent("ses_3", { parentID: "ses_2" }), messageEvent("ses_3", "msg_3")])
      box.store.commit(event)
    box.publish(idleEvent("ses_1"))
    await box.until(async () => Bun.deepEquals(await box.shown("ses_3"), heldState(box.store, "ses_3")))
    expect(shared(box)).toEqual(["ses_1", "ses_2", "ses_3"])
  })

  test("go with their parent, and come back with it", async () => {
    await using box = await sharedBox({ children: true })
    box.play(child, sessionEvent("ses_3", { parentID: "ses_2" }))
    await box.sync.remove("ses_1")
    expect(shared(box)).toEqual([])
    await box.sync.create("ses_1")
    await box.until(() => shared(box).length === 3)
    expect(shared(box)).toEqual(["ses_1/2", "ses_2/2", "ses_3/2"])
  })

  test("that somebody unshared stay so as long as the parent's share lasts", async () => {
    await using box = await sharedBox({ children: true })
    box.play(child)
    await box.sync.remove("ses_2")
    await box.sync.resync(box.stream())
    expect(shared(box)).toEqual(["ses_1"])
  })

  test("that somebody shared by itself stays when the parent's share goes", async () => {
    await using box = await sharedBox({ children: true })
    box.store.commit(child)
    await box.sync.create("ses_2")
    await box.sync.resync(box.stream())
    await box.sync.remove("ses_1")
    expect(shared(box)).toEqual(["ses_2"])
  })
})

function raise(message: string): never {
  throw new Error(message)
}
