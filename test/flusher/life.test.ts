/** flush, close, pause, resume, result: what a host can ask for, and what a stop leaves. */
import { describe, expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { by, fail, fixedRandom, hold, loseAnswer, openBox, record, status } from "./box.ts"
import { Fake } from "./fake.ts"

test("flush resolves when every op recorded before it is settled, and says so", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox), "1 2")
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect(box.effects).toEqual(["1", "2"])
})

test("flush of nothing resolves at once and sends nothing", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.stream(outbox)
  expect(await outbox.flush()).toEqual({ settled: true, blocked: [] })
  expect(box.sent).toEqual([])
})

test("flush does not wait for the linger", async () => {
  await using box = await openBox()
  const outbox = box.open({ lingerMs: 60_000 })
  record(box.stream(outbox), "1")
  const flush = outbox.flush()
  await box.calm()
  expect(await flush).toMatchObject({ settled: true })
})

test("flush waits through an outage", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.always(fail("refused"))
  record(box.stream(outbox), "1")
  let done = false
  const flush = outbox.flush().then(() => {
    done = true
  })
  await box.turn(300_000, 1_000)
  expect(done).toBeFalse()
  box.always(undefined)
  await box.run(flush)
  expect(box.effects).toEqual(["1"])
})

test("flush does not wait for what is recorded after it", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  const first = hold()
  const second = hold()
  box.fates.push(first.fate, second.fate)
  const flush = outbox.flush()
  await box.calm()
  record(stream, "2")
  first.release()
  expect(await box.run(flush)).toMatchObject({ settled: true })
  expect(box.effects).toEqual(["1"])
  second.release()
})

test("two calls of flush wait for the same", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox), "1")
  const both = Promise.all([outbox.flush(), outbox.flush()])
  await box.run(both)
  expect(box.sent).toHaveLength(1)
})

test("flush says which streams stand, and why, without waiting for them", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.always(by(new Fake({ refuse: [{ refused: "scope_denied", message: "read only" }] })))
  record(box.stream(outbox), "1")
  expect(await box.run(outbox.flush())).toEqual({
    settled: false,
    blocked: [{ stream: "s", reason: "scope_denied", message: "read only" }],
  })
})

test("close gives up a POST on its way at once, and the next process sends the same batch", async () => {
  await using box = await openBox({ random: fixedRandom(0.5) })
  const first = box.open()
  const held = hold()
  box.fates.push(held.fate)
  record(box.stream(first), "1")
  await box.turn(50)
  const before = box.clock.monotonic()
  await box.close(first)
  // Not a millisecond: no delay of an attempt that nobody will make.
  expect(box.clock.monotonic()).toBe(before)
  expect(held.state.aborted).toBeTrue()

  const second = box.open()
  await box.turn(0)
  await box.run(second.flush())
  expect(box.sent[1]!.batches).toEqual(box.sent[0]!.batches)
  expect(box.effects).toEqual(["1"])
})

test("a POST given up by close is no failed attempt", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(hold().fate)
  record(box.stream(outbox), "1")
  await box.turn(50)
  const seen: string[] = []
  outbox.on("failed", ({ code }) => seen.push(code))
  await box.close(outbox)
  expect(seen).toEqual([])
  expect(box.row()).toMatchObject({ attempts: 0, next_attempt_at: null, last_error: null })
})

test("a refusal that arrives during close is remembered, and close does not wait out its delay", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const deaf = Promise.withResolvers<void>()
  box.fates.push(async (deliver, request) => {
    await deaf.promise
    return status(503, "120")(deliver, request)
  })
  record(box.stream(outbox), "1")
  await box.turn(50)
  const before = box.clock.monotonic()
  const closed = box.close(outbox)
  deaf.resolve()
  await closed
  expect(box.clock.monotonic()).toBe(before)
  expect(box.row()).toMatchObject({ attempts: 1, last_error: "http_503", next_attempt_at: box.clock.now() + 120_000 })
})

test("an answer that came before close is settled", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const held = hold()
  box.fates.push(held.fate)
  const [intent] = record(box.stream(outbox), "1")
  const op_id = outbox.opId(intent!)
  await box.turn(50)
  held.release()
  await box.calm()
  await box.close(outbox)
  expect(box.state(op_id)).toEqual(["acked"])
})

test("close during a wait for the next attempt does not wait", async () => {
  await using box = await openBox()
  const outbox = box.open({ retryDelayMsMin: 60_000 })
  box.fates.push(fail("refused"))
  record(box.stream(outbox), "1")
  await box.turn(100)
  const before = box.clock.monotonic()
  await box.close(outbox)
  expect(box.clock.monotonic()).toBe(before)
})

test("close flushes first", async () => {
  await using box = await openBox()
  const outbox = box.open()
  record(box.stream(outbox), "1")
  await box.run(outbox.close())
  expect(box.effects).toEqual(["1"])
})

test("close flushes no longer than it was told", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(hold().fate)
  record(box.stream(outbox), "1")
  const before = box.clock.monotonic()
  await box.run(outbox.close({ flush_ms: 5_000 }))
  expect(box.clock.monotonic() - before).toBe(5_000)
})

test("close twice is close once, also while the first still runs", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const first = outbox.close()
  expect(outbox.close()).toBe(first)
  await box.run(first)
  await outbox.close()
  await outbox[Symbol.asyncDispose]()
})

test("after close everything says that it is closed, and hurts nobody", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const [intent] = record(stream, "1")
  const stop = outbox.onAny(() => {})
  await box.close(outbox)
  expect(() => record(stream, "2")).toThrow(expect.objectContaining({ code: "closed" }))
  expect(() => stream.remove()).toThrow(expect.objectContaining({ code: "closed" }))
  expect((await rejectionOf(outbox.flush())).code).toBe("closed")
  expect((await rejectionOf(outbox.durable())).code).toBe("closed")
  expect((await rejectionOf(outbox.result(intent!))).code).toBe("closed")
  for (const late of [
    () => stream.status(),
    () => stream.unblock(),
    () => stream.deadLetters(),
    () => stream.retry(outbox.opId(intent!)),
    () => outbox.findStream("s"),
    () => outbox.pause(),
    () => outbox.resume(),
    () => outbox.on("fault", () => {}),
    () => outbox.onAny(() => {}),
  ])
    expect(errorOf(late).code).toBe("closed")
  stop()
})

test("whoever waits when the outbox is closed is told", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.always(fail("refused"))
  const stream = box.stream(outbox)
  const intent = stream.record({ method: "put", args: ["1"], wantResult: true })
  const waiting = [rejectionOf(outbox.flush()), rejectionOf(outbox.result(intent))]
  await box.turn(100)
  await box.close(outbox)
  expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["closed", "closed"])
})

test("paused, nothing is sent and recording goes on; resumed, everything goes", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  record(stream, "1 2 3")
  void outbox.flush()
  await box.turn(120_000, 1_000)
  expect(box.sent).toEqual([])
  outbox.resume()
  await box.turn(100)
  expect(box.effects).toEqual(["1", "2", "3"])
})

test("pause gives up a POST on its way; resume sends the same batch at once", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const held = hold()
  box.fates.push(held.fate)
  record(box.stream(outbox), "1")
  await box.turn(50)
  outbox.pause()
  await box.calm()
  expect(held.state.aborted).toBeTrue()
  outbox.resume()
  await box.turn(50)
  expect(box.sent).toHaveLength(2)
  expect(box.sent[1]!.batches).toEqual(box.sent[0]!.batches)
})

test("pause and resume in one breath lose neither the lease nor time", async () => {
  await using box = await openBox()
  const outbox = box.open()
  box.fates.push(hold().fate)
  record(box.stream(outbox), "1")
  await box.turn(50)
  outbox.pause()
  outbox.resume()
  await box.turn(50)
  expect(box.effects).toEqual(["1"])
})

test("pause twice is lifted by one resume, and resume without pause is nothing", async () => {
  await using box = await openBox()
  const outbox = box.open()
  outbox.resume()
  outbox.pause()
  outbox.pause()
  record(box.stream(outbox), "1")
  await box.turn(200)
  expect(box.sent).toEqual([])
  outbox.resume()
  await box.run(outbox.flush())
  expect(box.effects).toEqual(["1"])
})

test("result waits for its own op, not for those after it", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  const held = hold()
  const intent = stream.record({ method: "put", args: ["1"], wantResult: true })
  const result = outbox.result(intent)
  await box.calm()
  box.fates.push(held.fate)
  record(stream, "2")
  expect(await box.run(result)).toMatchObject({ name: "1" })
  held.release()
})

test("result of what was settled before it was asked for comes from the disk", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const intent = box.stream(outbox).record({ method: "put", args: ["1"], wantResult: true })
  await box.run(outbox.flush())
  expect(await outbox.result(intent)).toMatchObject({ name: "1" })
  expect(box.sent).toHaveLength(1)
})

test("result of an op that was recorded without wantResult is refused", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const [intent] = record(box.stream(outbox), "1")
  expect((await rejectionOf(outbox.result(intent!))).code).toBe("invalid_argument")
})

test("result of a rejected op tells the code and the reason", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const intent = box.stream(outbox).record({ method: "poison", args: [], wantResult: true })
  const error = await box.run(rejectionOf(outbox.result(intent)))
  expect(error.code).toBe("op_rejected")
  expect(error.message).toContain("poison, rejected for good")
})

test("result of an op given up with its share is told, not waited for", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  const intent = stream.record({ method: "put", args: ["1"], wantResult: true })
  const result = rejectionOf(outbox.result(intent))
  stream.remove()
  outbox.resume()
  expect((await box.run(result)).code).toBe("op_discarded")
})

test("result of an applied op whose result is gone says so, and is no result", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  box.fates.push(loseAnswer)
  box.always(fail("refused"))
  const intent = stream.record({ method: "put", args: ["1"], wantResult: true })
  await box.turn(1_000)
  box.clock.jump(31 * 24 * 3_600_000)
  box.always(undefined)
  expect((await box.run(rejectionOf(outbox.result(intent)))).code).toBe("op_unknown")
  expect(box.effects).toEqual(["1"])
})

test("result of a method that returns nothing is undefined", async () => {
  await using box = await openBox({ service: { methods: { put: () => undefined } } })
  const outbox = box.open()
  const intent = box.stream(outbox).record({ method: "put", args: [], wantResult: true })
  expect(await box.run(outbox.result(intent))).toBeUndefined()
})

test("after a bug stopped the flusher, whoever waited and whoever asks later is told", async () => {
  await using box = await openBox()
  const bug = new Error("a bug of Sturdy's own")
  const crashPoint = (name: string) => {
    if (name === "flush:before-post") throw bug
  }
  const outbox = box.open({ seams: { ...box.seams, crashPoint } })
  const intent = box.stream(outbox).record({ method: "put", args: ["1"], wantResult: true })
  const waiting = [rejectionOf(outbox.flush()), rejectionOf(outbox.result(intent))]
  await box.turn(100)
  const later = [rejectionOf(outbox.flush()), rejectionOf(outbox.result(intent))]
  const told = await box.run(Promise.all([...waiting, ...later]), 5_000)
  expect(told.map(({ code }) => code)).toEqual(Array(4).fill("flusher_stopped"))
  for (const { cause } of told) expect(cause).toBe(bug)
  expect(box.takeFaults()).toEqual([bug])
})

describe.if(process.platform === "linux")("when the outbox file was deleted", () => {
  async function deletedWith(postIsOut: boolean) {
    const box = await openBox()
    const outbox = box.open()
    const held = hold()
    box.fates.push(held.fate)
    record(box.stream(outbox), "1")
    if (postIsOut) await box.turn(100)
    rmSync(box.dir.file())
    held.release()
    return {
      outbox,
      flushed: () => box.run(outbox.flush(), 120_000),
      [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
    }
  }

  const moved = { settled: false, blocked: [{ stream: "s", reason: "database_moved" }] }

  test("before anything was sent, every flush says that it stands, and close ends", async () => {
    await using it = await deletedWith(false)
    expect([await it.flushed(), await it.flushed()]).toMatchObject([moved, moved])
  })

  test("while a POST was out, the flush that waits for it says that it stands, and close ends", async () => {
    await using it = await deletedWith(true)
    expect(await it.flushed()).toMatchObject(moved)
  })
})
