/** A service, or a gateway before it, asked for silence: with whatever answer, and whatever else becomes of the stream. */
import { describe, expect, test } from "bun:test"
import { by, type Fate, fixedRandom, hold, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

/** Probes come at their earliest, attempts without delay. */
const early = { random: fixedRandom(0) }

test("a refusal that asks for silence is not answered at once, whatever it refuses", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  const refusal = { refused: "stale_epoch", message: "raised", retry_after_ms: 20_000 }
  box.fates.push(by(new Fake({ refuse: [refusal], service_id: box.service.service_id })))
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  expect(box.sent[1]!.at - box.sent[0]!.at).toBe(20_000)
})

test("413 with Retry-After: the smaller batch is not sent before it", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  box.fates.push(status(413, "20"))
  record(box.stream(outbox), "1 2")
  await box.run(outbox.flush())
  expect(box.sent[1]!.at - box.sent[0]!.at).toBe(20_000)
})

test.each([403, 404, 302])("a probe honours the Retry-After of the %d that blocks", async (code) => {
  await using box = await openBox(early)
  const outbox = box.open()
  box.fates.push(status(code, "1800"))
  record(box.stream(outbox), "1")
  await box.turn(1_795_000, 5_000)
  expect(box.sent).toHaveLength(1)
  await box.turn(10_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

test("a probe honours the Retry-After of the answer by which the one unit was found", async () => {
  await using box = await openBox(early)
  const outbox = box.open()
  // Too large as a POST, as a batch alone, and as a unit: each is waited for.
  box.fates.push(status(413, "1800"))
  record(box.stream(outbox), "1")
  await box.turn(1_795_000, 5_000)
  expect([box.row().block, box.sent.length]).toEqual(["too_large", 1])
  await box.turn(10_000, 1_000)
  expect(box.effects).toEqual(["1"])
})

describe("unblock()", () => {
  test.each<[string, Fate]>([
    ["Retry-After", status(503, "300")],
    ["retry_after_ms of busy", by(new Fake({ refuse: [{ refused: "busy", retry_after_ms: 300_000 }] }))],
  ])("does not forget the %s that a probe was told, and then waits for nothing more", async (_, told) => {
    await using box = await openBox(early)
    const first = box.open()
    const stream = box.stream(first)
    box.fates.push(status(404), told)
    record(stream, "1")
    await box.turn(62_000, 1_000)
    const due_at = box.sent[1]!.at + 300_000
    expect(stream.unblock()).toBeTrue()
    expect(box.row()).toMatchObject({ block: null, attempts: 0, last_error: null })
    await box.turn(100_000, 5_000)
    stream.unblock()
    await box.turn(100_000, 5_000)
    await box.close(first)
    const second = box.open()
    await box.turn(90_000, 5_000)
    expect(box.sent).toHaveLength(2)
    await box.run(second.flush())
    expect(box.sent[2]!.at - due_at).toBeWithin(0, 1_000)
    expect(box.effects).toEqual(["1"])
  })

  test("goes at once if the last probe asked for nothing", async () => {
    await using box = await openBox(early)
    const outbox = box.open()
    const stream = box.stream(outbox)
    box.fates.push(status(404), status(503))
    record(stream, "1")
    await box.turn(62_000, 1_000)
    stream.unblock()
    await box.turn(100)
    expect(box.effects).toEqual(["1"])
  })

  test("to another service goes at once: it was not asked, and what the first one asked for is forgotten", async () => {
    await using box = await openBox(early)
    const outbox = box.open()
    const stream = box.stream(outbox)
    box.fates.push(status(404), status(503, "1800"))
    record(stream, "1")
    await box.turn(62_000, 1_000)
    stream.unblock({ service: "http://moved.example/rpc/share" })
    expect(box.row()).toMatchObject({ next_attempt_at: null, retry_after_at: null })
    await box.turn(100)
    expect([box.sent.at(-1)!.host, box.effects]).toEqual(["moved.example", ["1"]])
  })

  test("while a probe is out that is told a Retry-After: it is waited for", async () => {
    await using box = await openBox(early)
    const outbox = box.open()
    const stream = box.stream(outbox)
    box.fates.push(status(404), async (deliver, request) => {
      stream.unblock()
      return status(503, "300")(deliver, request)
    })
    record(stream, "1")
    await box.turn(62_000, 1_000)
    await box.run(outbox.flush())
    expect(box.sent[2]!.at - box.sent[1]!.at).toBeWithin(300_000, 302_000)
    expect(box.effects).toEqual(["1"])
  })

  test("to another service while a probe of the first is out does not wait for what that one asks for", async () => {
    await using box = await openBox(early)
    const outbox = box.open()
    const stream = box.stream(outbox)
    box.fates.push(status(404), async (deliver, request) => {
      stream.unblock({ service: "http://moved.example/rpc/share" })
      return status(503, "300")(deliver, request)
    })
    record(stream, "1")
    await box.turn(62_000, 1_000)
    expect(box.effects).toEqual(["1"])
  })
})

describe("remove()", () => {
  test("of a blocked stream waits for the Retry-After that a probe was told, also in the next process", async () => {
    await using box = await openBox({ ...early, creates: true })
    const first = box.open()
    box.fates.push(status(403), status(503, "300"))
    record(box.stream(first), "1")
    await box.turn(62_000, 1_000)
    const due_at = box.sent[1]!.at + 300_000
    box.stream(first).remove()
    await box.turn(200_000, 5_000)
    await box.close(first)
    const second = box.open()
    await box.turn(90_000, 5_000)
    expect(box.sent).toHaveLength(2)
    await box.run(second.flush())
    expect(box.sent.slice(2).map((post) => post.calls.includes("removeShare"))).toEqual([true])
    expect(box.sent[2]!.at - due_at).toBeWithin(0, 1_000)
  })

  test("recorded while a probe is out waits for the Retry-After of its answer", async () => {
    await using box = await openBox({ ...early, creates: true })
    const outbox = box.open()
    const stream = box.stream(outbox)
    const held = hold()
    box.fates.push(status(403), async (deliver, request) => {
      await held.fate(deliver, request)
      return status(503, "300")(deliver, request)
    })
    record(stream, "1")
    await box.turn(62_000, 1_000)
    await held.arrived
    stream.remove()
    const told_at = box.clock.monotonic()
    held.release()
    await box.run(outbox.flush())
    expect(box.sent[2]!.at - told_at).toBeWithin(300_000, 301_000)
    expect(box.sent.map((post) => post.calls.includes("removeShare"))).toEqual([false, false, true])
  })
})
